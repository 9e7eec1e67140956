#! --keep-going
# No file, no arguments, too many, and options that are not there or out of range.
load
load nothing.safetensors
load ""
load a b
load samples/models/text-small.safetensors --as
load samples/models/text-small.safetensors --as "two words"
load samples/models/text-small.safetensors --bogus
load samples/models/text-small.safetensors --wights f32
load samples/models/text-small.safetensors --weights f64
load samples/models/text-small.safetensors --preset nope
load samples/models/text-small.safetensors --preset enwik8
load samples/models/text-small.safetensors --config nothing.json
load samples/models/text-small.safetensors --config samples/heldout.txt
load samples/models/text-small.safetensors --set mem_len
load samples/models/text-small.safetensors --set mem_len=0
load samples/models/text-small.safetensors --set mem_len=1.5
load samples/models/text-small.safetensors --set agg_cache=2
load samples/models/text-small.safetensors --set memlen=64
load samples/models/text-small.safetensors --set n_code=65
load samples/models/text-small.safetensors --set vocab=image64 --set vocab=nothing.model
load samples/heldout.txt
load samples
load tests/data/golden/heads3/config.json
load tests/data/golden/heads3/inputs.npy
# A model that fails to load leaves what was there.
load samples/models/text-small.safetensors --as small
load tests/data/golden/heads3/model.safetensors --as small
models
use nothing
use
unload nothing
unload small
unload
info
