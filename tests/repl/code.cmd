#! --keep-going
load samples/models/text-small.safetensors --as small
code 0.1 7 --top 3
code 0.1 43 --over tests/data/prose.txt --top 3
feed --file tests/data/prose.txt
code 2.2 43 --top 2
code
code 0.1
code 0.1 64
code 0.1 -1
code 0.1 1.5
code 0 1
code all 1
code 0.1 1 2
code 0.1 1 --top 0
code 0.1 1 --over nothing
code 0.1 1 --over tests/data/prose.txt --seen
