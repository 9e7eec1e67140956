#! --quiet --keep-going --format json --load samples/models/text-small.safetensors
eval --data samples/shakespeare.txt --split test --length 512
eval --data samples/shakespeare.txt --split train --limit 1000 --length 300 --batch 3 --by-position
set format table
eval --data samples/shakespeare.txt --split test --limit 2000 --by-position
set format json
eval
eval --data samples/shakespeare.txt --split odd
eval --data nothing-here
