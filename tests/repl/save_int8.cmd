#! --keep-going
# A file of int8 gives what load --weights int8 gives, and saved again it is the same file.
load samples/models/text-small.safetensors --as small --weights int8
score --text "Call me Ishmael." --logprobs small.npy
save q.safetensors --weights int8
load q.safetensors
score --text "Call me Ishmael." --logprobs q.npy
!cmp small.npy q.npy && echo same numbers
save again.safetensors
save more.safetensors --weights int8
!cmp q.safetensors again.safetensors && cmp q.safetensors more.safetensors && echo same file
tensors *_0/scanned_attn1/*kernel*
check q.safetensors
# As floats it is what its numbers stand for.
load q.safetensors --as floats --weights f32
score --text "Call me Ishmael." --logprobs as_f32.npy
save f.safetensors --weights f32
load f.safetensors
score --text "Call me Ishmael." --logprobs f.npy
!cmp as_f32.npy f.npy && echo same numbers
codebook 0.1
# The optimiser's state stays behind, and training does not go on.
load tests/data/ckpt/opt_lion --as lion
save lion.safetensors --weights int8
tensors --all --file lion.safetensors s*
use q
train --out run --from q.safetensors --tokens tests/data/golden/heads3/inputs.npy --steps 1 --set update_len=64 --set block_len=64
save x --as flax
save x --as flax-file --weights int8
save x --as flax --weights bf16
!ls
# Half a file.
!head -c -672000 q.safetensors > cut.safetensors
load cut.safetensors
