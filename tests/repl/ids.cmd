#! --keep-going
# A model whose tokens are no text.
load tests/data/golden/heads3/model.safetensors --as three
tokenize a
detokenize 5
feed --text a
score --text a
sample --prompt a
sample --length 6 --seed 1
sample -n 2 --length 3 --seed 1
next -k 2
feed --tokens tests/data/golden/heads3/inputs.npy
cache 0.1:2 --window --row 1
code 0.1:2 3 --top 2
score --tokens tests/data/golden/heads3/targets.npy
