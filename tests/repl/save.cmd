#! --keep-going
# What is written opens again as the same model: sha256 of the weights' file differs by layout only.
load tests/data/golden/heads3/model.safetensors --as three
save three.safetensors
save three-bf16.safetensors --weights bf16
save checkpoint_7 --as flax
save three.flax --as flax-file
load three.safetensors --as again
load three-bf16.safetensors --as half
load checkpoint_7 --as flax --config tests/data/golden/heads3/config.json
load three.flax --as file --config tests/data/golden/heads3/config.json
verify --tokens tests/data/golden/heads3/inputs.npy
tensors --file three-bf16.safetensors *attn1*
!cmp three.safetensors three-bf16.safetensors > /dev/null || echo differ
save
save nothing/three.safetensors
save three.safetensors --as tar
save three.safetensors --weights int4
save /dev/full
!ls
