#! --keep-going
load samples/models/text-small.safetensors --as small
feed --text "Call me Ishmael."
feed --text " Some years ago"
state
next -k 4
reset
feed --text "Call me Ishmael. Some years ago" --no-eos
feed --text ""
reset
feed --text ""
state
reset
feed --text "" --no-eos
state
# A batch moves together, and must be begun at position 0.
feed --tokens tests/data/golden/enwik8/inputs.npy
state
feed --text a
feed --tokens tests/data/golden/enwik8/logprobs.npy
reset
feed --text a
feed --tokens tests/data/golden/enwik8/inputs.npy
feed
feed a
feed --text
feed --text a --file b
feed --file nothing
feed --file samples
feed --tokens samples/heldout.txt
reset now
