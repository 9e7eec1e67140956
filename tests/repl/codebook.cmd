#! --keep-going
load samples/models/text-small.safetensors --as small
codebook
codebook 0.1,2.2 --over tests/data/prose.txt
codebook 1 --sort entropy
codebook 0.1 --pairs 3
codebook 0.1 --seen
feed --file tests/data/prose.txt
codebook 0.1 --seen
codebook 0.1
codebook 9.1
codebook 0.3
codebook 0.1:1
codebook 0-9
codebook 2-1
codebook x
codebook ,
codebook --sort size
codebook --pairs 0
codebook --over nothing
codebook --over /dev/null
codebook --over tests/data/prose.txt --seen
codebook 0.1 0.2
# Heads.
load tests/data/golden/heads3/model.safetensors --as three
codebook
codebook 0.2:1
codebook 0.1:3
