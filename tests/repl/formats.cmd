# One record and one listing in every format.
load samples/models/text-small.safetensors --as small
set format plain
state
tokenize "a,\"é"
set format table
state
tokenize "a,\"é"
set format box
state
tokenize "a,\"é|"
set format csv
state
tokenize "a,\"é\n"
set format json
state
tokenize "a,\"é"
set format jsonl
state
tokenize "a,\"é"
set format markdown
state
tokenize "a|\"é"
set format line
state
tokenize "a,\"é"
