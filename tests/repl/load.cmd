# What load prints, names of models, and moving between them.
load samples/models/text-small.safetensors
models
load tests/data/golden/heads3/model.safetensors --as three --weights bf16
models
use text-small
models
unload three
unload
models
# Names given twice get a number; --as must be free.
load samples/models/text-small.safetensors
load samples/models/text-small.safetensors
models
# Configuration: beside the file, in another file, by --set.
load tests/data/golden/mem8_block16/model.safetensors --config tests/data/golden/mem8_block16_noagg/config.json --as other
load tests/data/golden/mem8_block16/model.safetensors --as set --set agg_cache=0 --set mem_len=32 --set p_nucleus=0.5
