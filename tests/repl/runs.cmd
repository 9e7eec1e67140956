#! --keep-going
runs
run -1
load samples/models/text-small.safetensors --as small
score --text "It was a dark and stormy night."
sample --prompt "Call me" --length 10 --seed 3
sample -n 2 --length 5 --seed 4 --out two.txt
score --text ""
load tests/data/golden/heads3/model.safetensors --as three
score --tokens tests/data/golden/heads3/targets.npy --logprobs l.npy
set format line
runs
run -1
run -3
set format csv
runs --command sample
runs --status failed
runs --model three
runs STORMY
runs nothing
runs -n 2
set format auto
runs --status lost
runs --limit -1
run
run -9
run nothing
run 0
set format json
runs --command sample -n 1
