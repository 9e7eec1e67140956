#! --keep-going
load samples/models/text-small.safetensors
tokenize "Aé"
tokenize "two\n\tlines\\"
tokenize --text x
tokenize --file nothing
tokenize
tokenize a b
tokenize a --text b
detokenize 68 100 1 2 0 198 172
detokenize --tokens tests/data/golden/enwik8/inputs.npy
detokenize
detokenize 259
detokenize -1
detokenize 1.5
detokenize x
detokenize 68 --tokens tests/data/golden/enwik8/inputs.npy
