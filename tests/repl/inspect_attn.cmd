#! --keep-going
load samples/models/text-small.safetensors --as small
attn --mass
attn --mass --text "Call me Ishmael."
feed --file tests/data/prose.txt
attn 1.1 --per-token --top 4
attn 0.1 --per-token --pos 600 --top 3
attn 0.1 --per-token --out w.npy
attn 1.1 --span -3:-1
attn 1.1 --span 700-702 --out map.npy
attn 0 --mass
attn --mass --out mass.npy
attn 0.1 --distance
attn --distance --out bins.npy
attn 0.1 --span 2 --text "abc"
# What is wrong.
attn 0-1.1 --per-token --top 1 --pos 3
attn --span 1-2
attn 0 --span 1-2
attn 0.1 --span 5-3
attn 0.1 --span 1-2000
attn 0.1 --span a-b
attn 0.1 --per-token --pos 2000
attn 0.1 --mass --distance
attn 0.1 --mass --pos 3
attn 0.1 --out x.npy
attn 0.1 --text abc
attn --mass --row 1
# Batches and odd shapes.
load tests/data/golden/heads3/model.safetensors --as three
feed --tokens tests/data/golden/heads3/inputs.npy
attn 0.2 --per-token --row 1 --top 2
attn 0.2:1 --span 60-63 --row 1
attn --mass --row 1
attn 0.1:2 --distance
load tests/data/golden/mem8_block16_noagg/model.safetensors --as noagg
feed --tokens tests/data/golden/mem8_block16_noagg/inputs.npy
attn 0.1:0 --per-token --top 3
attn --mass
# Pictures: where in them.
load tests/data/golden/tied/model.safetensors --as pictures --set vocab=image64
attn 0.1 --per-token --file tests/data/image/grey.jpg --pos 400 --top 2
