#! --keep-going
# The state in bf16: every view of it, a file of it, and that file in a model that keeps f32.
load samples/models/text-small.safetensors --as half --state bf16
info
feed --file tests/data/prose.txt
cache 0.1
attn 0.1 --top 3
lens --pos 900
next -k 3
plot cache 0.1 --out cache.png
export cache.window.v v.npy
export cache.upper mean.npy
state save half.safetensors
state fork here
feed --text " and so"
cache --diff here
load samples/models/text-small.safetensors --as whole
state load half.safetensors
cache 0.1
next -k 3
state save whole.safetensors
# Bytes, and what is read of them.
load samples/models/text-small.safetensors --as bytes --weights int8
state load whole.safetensors
next -k 3
cache drop 0-31 0.1 --text " a" --top 1
info
set skip none
set state f32
load samples/models/text-small.safetensors --as exact --weights bf16
info
# What is wrong.
load samples/models/text-small.safetensors --state f16
set skip most
set state int4
