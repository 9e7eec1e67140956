#! --keep-going --format json
# Doing a run once more.
!cp samples/models/text-small.safetensors m.safetensors
output loaded.txt
load m.safetensors --as small
output
set temperature 0.7
sample -n 2 --length 20 --seed 3 --prompt "-x; y" --out two.txt
name -1 two
score --text "It was a dark and stormy night." --logprobs l.npy
name -1 night
set seed 9
sample --length 10
set temperature 1
set seed 5
replay -1
replay two
replay night
!rm l.npy
replay night
models
unload
!printf x >> m.safetensors
replay two
!rm m.safetensors
replay two
set model-path nosuch:samples/models
replay two
feed --text abc
output loaded.txt
load samples/models/text-small.safetensors
output
feed --text abc
sample --continue --length 3 --seed 1
replay -1
!mkdir full; touch full/x
replay two --out full
replay two --out kept
!ls kept/*
replay nosuch
load nosuch
score --text ""
replay -1
runs tag~replay --columns command,tag -n 1
