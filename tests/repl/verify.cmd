#! --keep-going
load samples/models/text-small.safetensors --as small
verify --length 40 --seed 1
verify --text "Call me Ishmael."
verify --tokens tests/data/golden/enwik8/inputs.npy
verify --length 0
verify --text ""
# Rounded weights are another model than the checkpoint's.
load samples/models/text-small.safetensors --as half --weights bf16
verify --length 40 --seed 1
load samples/models/text-small.safetensors --as eighth --weights int8
verify --length 120 --seed 1
