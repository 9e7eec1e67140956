#! --keep-going
load samples/models/text-small.safetensors --as small
code 0.1 7 --top 3
code 0.1 43 --over samples/README.md --top 3
feed --file samples/README.md
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
code 0.1 1 --over samples/README.md --seen
