#! --keep-going
load samples/models/text-small.safetensors --as small
sample --prompt "Call me" --length 40 --seed 7
sample -n 2 --length 20 --seed 7 --out two.txt
!cat two-0.txt; echo; echo --; cat two-1.txt; echo
sample --length 8 --temperature 0 --seed 1
set format jsonl
sample -n 2 --length 6 --seed 7
set format auto
sample --prompt a --prompt-file b
sample --prompt-file nothing
sample --prompt-image a.png
sample -n 0
sample --length 0
sample --temperature -1
sample --temperature hot
sample --top-p 1.5
sample --top-p nan
sample --top-k -1
sample --top-p-rule other
sample --seed -1
sample --seed 18446744073709551616
sample --length 3 --seed 18446744073709551615
sample --out nothing/x.txt
sample 5
