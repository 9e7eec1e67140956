#! --keep-going
load samples/models/text-small.safetensors --as small
plot growth --out a.png
feed --file tests/data/prose.txt
plot usage 0.1 --over tests/data/prose.txt --sorted --out a.png
plot lorenz --out a.png
plot lorenz 0.1 --seen --out a.png
plot perplexity --out a.png --width 400 --height 300
plot perplexity 1 --seen --out a.png
plot map 1.1 --out a.png
plot map 0.1 --over tests/data/prose.txt --out a.png
plot drift --against small --out a.png
plot drift 0.1 --against samples/models/text-small.safetensors --out a.png
plot code 0.1 --code 14 --out a.png
plot growth --out a.png
plot growth 1.1 --out a.png
plot attn-map 1.1 --span 0-12 --text "It is a truth" --out a.png
plot attn-map 1.1 --span -3:-1 --log --out a.png
plot mass --out a.png
plot attn-rows --pos 300 --out a.png
plot compare --against small --text "It is a truth" --out a.png
plot distance 0 --out a.png
plot stream --out a.png
plot gates --text "It is a truth" --out a.png
plot lens --span 0-4 --out a.png
plot lens --pos 3 --out a.png
plot attribute --out a.png
plot surprise --out a.png
plot surprise --text "It is a truth" --out a.png --width 64 --height 64
!echo what is wrong
plot map all --out a.png
plot code 0.1 --out a.png
plot code 0.1 --code 64 --out a.png
plot drift --out a.png
plot drift --against nothing --out a.png
plot attn-map 1.1 --span 5-2 --out a.png
plot attn-grid --out a.png
plot patch --out a.png
plot lens --pos 9999 --out a.png
plot compare --out a.png
plot compare --against small --out a.png
plot usage --over nothing --out a.png
plot pie --out a.png
!echo odd shapes and batches
load tests/data/golden/heads3/model.safetensors --as three
feed --tokens tests/data/golden/heads3/inputs.npy
plot perplexity --out a.png
plot lorenz --out a.png
plot map 0.2:1 --out a.png
plot growth --row 1 --out a.png
plot attn-map 0.2:2 --span 50-63 --row 1 --out a.png
plot mass --row 1 --out a.png
plot distance --row 1 --out a.png
plot attribute --row 1 --out a.png
!echo pictures
load tests/data/golden/tied/model.safetensors --as pictures --set vocab=image64
plot patch 0.1 --out a.png
plot patch 0.1 --over tests/data/image --radius 2 --out a.png
plot patch 0.1 --code 3 --over tests/data/image/grey.jpg --out a.png
plot patch 0.1 --code 24 --over tests/data/image/grey.jpg --out a.png
plot attn-grid 0.1 --file tests/data/image/grey.jpg --pos 400 --out a.png
plot surprise --file tests/data/image/grey.jpg --out a.png
