#! --format table --keep-going
load samples/models/text-small.safetensors
info
info too many
load tests/data/golden/tied/model.safetensors
info
