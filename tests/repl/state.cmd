#! --keep-going
load tests/data/golden/heads3/model.safetensors --as three
state
feed --tokens tests/data/golden/heads3/inputs.npy
state
state fork early
feed --tokens tests/data/golden/heads3/targets.npy
state fork late
state list
state save s.safetensors
state use early
next -k 2
state load s.safetensors
next -k 2
feed --tokens tests/data/golden/heads3/inputs.npy
next -k 2
state use late
feed --tokens tests/data/golden/heads3/inputs.npy
next -k 2
state drop early
state drop early
state use early
state list
state list more
state fork
state save
state load nothing
state load samples/models/text-small.safetensors
state bogus
state save a b
# A state belongs to its model.
load tests/data/golden/mem8_block16/model.safetensors --as eight
state load s.safetensors
state list
