#! --keep-going
load tests/data/golden/heads3/model.safetensors --as three
export codebook a.npy
export codes a.npy
export logprobs a.npy
export attn a.npy
export cache.lower a.npy
feed --tokens tests/data/golden/heads3/inputs.npy
export codes a.npy
export logits a.npy
export logprobs a.npy
export cache.lower a.npy
export cache.upper a.npy
export cache.window a.npy
export cache.window.k a.npy
export cache.window.v a.npy
export attn a.npy
export attn a.npy --pos 3 --module 0.2
export logprobs a.npy --tokens tests/data/golden/heads3/targets.npy
export cache.lower a.npy --tokens tests/data/golden/heads3/targets.npy
export codebook nothing/a.npy
export codebook /dev/full
export codebook
export nothing a.npy
export codebook a.npy b.npy
export attn a.npy --pos 64
load samples/models/text-small.safetensors --as small
export codes a.npy --text "Call me"
export logprobs a.npy --text ""
!ls *.npy
