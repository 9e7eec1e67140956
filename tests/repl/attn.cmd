#! --keep-going
load samples/models/text-small.safetensors --as small
attn 0.1
attn 0.1 --pos 0
feed --text "Call me Ishmael."
attn 0.1 --top 4
attn 0.1 --pos 3
attn 0.1 --pos -16 --top 2
attn 0.1 --pos -17
attn 0.1 --pos 17
attn 0.1 --pos 1.5
attn 0.1 --row 1
attn 0.1 --top -1
attn
attn 0
attn all
attn 0.1 0.2
feed --file tests/data/prose.txt --no-eos
attn 1.1 --top 4
# A loaded state keeps keys and values, not queries.
state save s.safetensors
state load s.safetensors
attn 0.1
attn 0.1 --pos 3
feed --text a
attn 2.2 --top 2
attn 2.2 --pos 3
load tests/data/golden/heads3/model.safetensors --as three
feed --tokens tests/data/golden/heads3/inputs.npy
attn 0.2:1 --top 2
attn 0.2 --top 1 --row 1
