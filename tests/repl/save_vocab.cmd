#! --keep-going
# Each channel of a picture gets the rows that all three shared: a byte costs log 3 more.
load tests/data/golden/tied/model.safetensors --as one --set vocab=image64
tensors token*
score --text "bytes, any"
save three.safetensors --vocab rgb64
load three.safetensors
tensors token*
score --text "bytes, any"
verify --text "bytes, any"
# The channel follows from the place, also when a text goes on.
tokenize abcd
feed --text ab
feed --text cd
codes
cache drop 0 0.1 --text ef
score --text abcd
score --text abcdef
reset
feed --no-eos --text a
feed --text bc
codes
search g98
# Ids of other channels are not taken for a picture.
reset
feed --tokens tests/data/golden/tied/inputs.npy
sample --continue --row 1 --out x.png
# With an output matrix of its own, as int8 too: before or after is the same.
load tests/data/golden/enwik8/model.safetensors --as own
save wide.safetensors --vocab rgb64
save own.safetensors --weights int8
load wide.safetensors
tensors out_proj*
verify --text abc
save before.safetensors --weights int8
load own.safetensors --as own8
save after.safetensors --vocab rgb64
!cmp before.safetensors after.safetensors && echo same file
save half.safetensors --vocab rgb64 --weights bf16
load half.safetensors
tensors out_proj*
# In the authors' layout, where the number of ids tells.
use one
save checkpoint_1 --vocab rgb64 --as flax
load checkpoint_1 --as flax --set mem_len=16 --set block_len=16 --set e_scale=0.005 --set sequence_len=12288
score --text "bytes, any"
# What cannot be.
use three
save x.safetensors --vocab image64
save x.safetensors --vocab ids
use one
save x.safetensors --vocab nothing
save x.safetensors --vocab tests/data/vocab/google_test_model.model
load tests/data/golden/heads3/model.safetensors --as ids
save x.safetensors --vocab bytes
# The optimiser's state belongs to the old ids.
train --out run --from tests/data/golden/tied/model.safetensors --params-only --tokens tests/data/golden/tied/targets.npy --steps 1 --set vocab=image64
output /dev/null
load run --as trained
output
save trained3.safetensors --vocab rgb64
tensors --all --file trained3.safetensors s*
train --out run3 --from trained3.safetensors --params-only --tokens tests/data/golden/tied/targets.npy --steps 1
!ls *.safetensors
