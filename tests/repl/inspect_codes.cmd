#! --keep-going
load samples/models/text-small.safetensors --as small
codebook 0.1,2.2 --lorenz
codebook 0.1 --dead
codebook 0.1 --against small
codebook 0.1 --against samples/models/text-small.safetensors --codes --out moved.npy
codebook 1.1 --map --out map.npy
codebook --out counts.npy
codebook --similarity --out sim.npy
codes "ab" --modules 0.1,2.2
codes --text "ab" --out codes.npy
codes --text "ab" --errors --modules 0.1
search e
feed --file tests/data/prose.txt
codebook 0.1 --lorenz --seen
codebook 0.1 --dead --seen
search e --top 1
search "the " --top 1 --modules 0.1
search --like 0.1/7 --top 3
search "\n" --top 1 --modules 2.2
code 0.1 7 --out members.npy
# What is wrong.
codebook --lorenz --map
codebook --codes
codebook --dead --out x.npy
codebook --against nothing.safetensors
codebook --against tests/data/golden/heads3/model.safetensors
codes "a" --text "b"
codes --row 1
search
search e --like 0.1/7
search --like 0.1
search --like 0/7
search --like 0.1/64
search ""
code 0.1 7 --patch
codebook --over tests
# Odd shapes, batches, dead codes.
load tests/data/golden/heads3/model.safetensors --as three
codebook 0.2:1 --dead
feed --tokens tests/data/golden/heads3/inputs.npy
codebook 0.2:1 --dead --seen
codebook 0.2:2 --map
codebook 0.2:2 --similarity
codes --row 1 --modules 0.2 --out codes.npy
search --like 0.1:2/5 --top 2
search 17 --top 1
# Pictures.
load tests/data/golden/tied/model.safetensors --as pictures --set vocab=image64
code 0.1 3 --over tests/data/image --top 1 --bins 2
code 0.1 3 --over tests/data/image --patch --radius 1
code 0.1 3 --over tests/data/image --patch --out patch.npy
codebook 0.1 --over tests/data/image/grey.jpg --lorenz
codebook --over tests/repl --lorenz
