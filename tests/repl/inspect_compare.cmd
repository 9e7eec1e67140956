#! --keep-going
load samples/models/text-small.safetensors --as small
load tests/data/golden/mem8_block16/model.safetensors --as eight
load tests/data/golden/mem12_block1/model.safetensors --as twelve
load tests/data/golden/heads3/model.safetensors --as three
load tests/data/ckpt/layers11 --as flax
load tests/data/golden/layers11/model.safetensors --as safe
!echo the same numbers in two formats
compare flax safe
!echo another window reads the same tensors otherwise
compare eight twelve --tokens tests/data/golden/mem8_block16/targets.npy --top 2
compare eight twelve --tokens tests/data/golden/mem8_block16/targets.npy --out c.npy
!echo other shapes
compare eight three
compare small three --text abc
compare small nothing
compare small
compare small small --out c.npy
compare small small --text ""
