#! --keep-going
load samples/models/text-small.safetensors --as small
cache drop 1
feed --file tests/data/prose.txt
cache 0.1 --members --top 2
cache --out counts.npy
cache --window-text
cache 0.1,1.1 --growth 3
cache 0.1 --growth 4 --text "abc" --out growth.npy
cache --growth 5 --out growth.npy
state fork here
feed --text " and so it was"
cache --diff here
cache 1.1 --diff here --codes
cache --diff here --out both.npy
state save s.safetensors
cache 0.1 --diff s.safetensors
cache drop 0-9 0.1 --top 2
cache drop 40 --text " x" --top 1
cache window-only --text " and so on." --out lp.npy
cache keep all
cache window-only 0.1:0,2 --top 1
cache keep 3 0.1 --apply --top 1
next
cache 0.1 --codes
attn 0.1 --pos 3
feed --text a
cache 0.1
state save edited.safetensors
state load edited.safetensors
cache drop 1
cache drop 1 0.1 --text "abc" --top 1
# What is wrong.
cache drop
cache drop 64
cache drop 3-1
cache drop 1,
cache drop 1 0.1 2
cache drop 1 9
cache window-only 0.1 2
cache --apply
cache drop 1 --codes
cache --text abc
cache --members --window
cache --growth 3 --apply
cache --codes --diff nothing
cache 0.1 0.2
cache reduce
# Batches, odd shapes, no aggregate.
load tests/data/golden/mem12_block1/model.safetensors --as twelve
feed --tokens tests/data/golden/mem12_block1/inputs.npy
cache drop 0-3 --row 1 --top 1
cache 0.1:1 --members --row 1 --top 1
cache --row 2 --members
load tests/data/golden/mem8_block16_noagg/model.safetensors --as noagg
feed --tokens tests/data/golden/mem8_block16_noagg/inputs.npy
cache window-only --top 1
