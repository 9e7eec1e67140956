#! --keep-going
load samples/models/text-small.safetensors --as small
next -k 3
feed --text "the whal"
next -k2
next --k 1
next -k 0
next -k many
next -k
next 3
