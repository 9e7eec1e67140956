#! --keep-going
check samples/models/text-small.safetensors
check tests/data/golden/heads3/model.safetensors --tensors
check tests/data/ckpt/opt_lion
check tests/data/ckpt/chunked_legacy/checkpoint_3 --notes
load tests/data/golden/heads3/model.safetensors --as three
check three
!head -c 40000 samples/models/text-small.safetensors > cut.safetensors
check cut.safetensors
!{ cat tests/data/golden/heads3/model.safetensors; printf 'more'; } > long.safetensors
check long.safetensors
!head -c 9000 tests/data/ckpt/fixture_agg_legacy/checkpoint_3 > cut_flax
check cut_flax
!{ head -c 48000 tests/data/golden/heads3/model.safetensors; printf '\000\000\300\177'; tail -c 140 tests/data/golden/heads3/model.safetensors; } > nan.safetensors
check nan.safetensors
check tests/data/image/grey.jpg
check nothing
check tests
check
