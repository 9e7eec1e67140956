#! --quiet --keep-going --format json
vocab train words.model samples/shakespeare.txt --size 400
vocab train words.model samples/shakespeare.txt --size 20
vocab train words.model samples/shakespeare.txt --size 4000 --type unigram
vocab train none.model nothing-here
vocab make words.model samples/shakespeare.txt
vocab train words.model
