#! --keep-going
load tests/data/golden/heads3/model.safetensors --as three
tensors
load samples/models/text-small.safetensors --as small
tensors *1.scanned_attn2*
tensors transformer_layers_0/scanned_attn1/? --stats
tensors nothing*
tensors --all step
tensors --file tests/data/golden/heads3/model.safetensors *c_count
tensors --file samples/heldout.txt
tensors a b
unload
unload
tensors
# Numbers in names are compared as numbers.
tensors --file tests/data/golden/layers11/model.safetensors *attn1.u
