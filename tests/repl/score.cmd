#! --keep-going
load samples/models/text-small.safetensors --as small
score --text "It was a dark and stormy night."
score --text "dark" --per-token
score --tokens tests/data/golden/enwik8/targets.npy --logprobs l.npy
!head -c 80 l.npy | tr -d '\0\n' | cut -c 7-
score --file tests/data/prose.txt
score
score --text ""
score --file nothing
score --text a --logprobs nothing/l.npy
score --text a --logprobs
score --tokens tests/data/golden/enwik8/logprobs.npy
score a
# The session is not moved.
state
