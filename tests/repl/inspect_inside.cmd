#! --keep-going
load samples/models/text-small.safetensors --as small
stream
stream 0,2.2 --text "It is a truth"
stream 1.1 --text "ab" --per-token
stream --file tests/data/prose.txt --out s.npy
stream 1.1 --text "abc" --per-token --out s.npy
lens --text "It is a truth universally acknowledge"
lens --text "It is a truth" --pos 3
lens --text "It is" --pos -1 --token a
lens --text "It is" -k 2
lens --text "It is" --out l.npy
attribute --text "It is a truth universally acknowledge"
attribute e --minus d --sort --text "It is a truth universally acknowledge"
attribute --text "It is" --out a.npy
surprise "It was a dark"
surprise --file tests/data/prose.txt --top 2
surprise --text "abc" --out b.npy
surprise
feed --text "Call me Ishmael"
surprise --top 2
lens --pos 3
attribute --pos -5
# What is wrong.
attribute foo --text "abc"
attribute "" --text "abc"
attribute --minus foo --text "abc"
lens --token foo --text "abc"
lens --pos 99 --text "abc"
lens --row 1 --text "abc"
stream --row 1
stream 9
surprise a --text b
surprise ""
# Odd shapes and batches.
load tests/data/golden/heads3/model.safetensors --as three
stream --tokens tests/data/golden/heads3/inputs.npy --row 1
attribute --tokens tests/data/golden/heads3/inputs.npy --row 1
attribute 7 --minus 8 --tokens tests/data/golden/heads3/inputs.npy --pos 5
lens --tokens tests/data/golden/heads3/inputs.npy --row 1 --pos 5
surprise --tokens tests/data/golden/heads3/targets.npy --top 2
surprise --tokens tests/data/golden/heads3/targets.npy --out b.npy
