#! --keep-going
load samples/models/text-small.safetensors --as small
cache 0.1
feed --file tests/data/prose.txt
cache
cache 1.2
cache --codes --window
cache 7
cache --row 1
cache 0.1 0.2
# Without an aggregate the older positions are gone; sequences of a batch have their own.
load tests/data/golden/mem8_block16_noagg/model.safetensors --as none
feed --tokens tests/data/golden/mem8_block16_noagg/inputs.npy
cache
cache --codes
cache 0.1:1 --window --row 1
load tests/data/golden/mem8_block16/model.safetensors --as eight
feed --tokens tests/data/golden/mem8_block16/inputs.npy
cache --row 0
cache --row 1
cache --row 2
