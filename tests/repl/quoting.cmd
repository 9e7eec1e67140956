#! --keep-going --format jsonl
# Words, quotes, joined lines; what stands in quotes is one word, whatever it holds.
load samples/models/text-small.safetensors --as small; use small ; ; use small # a comment; use nothing
tokenize 'a;b'; tokenize "c # d"
tokenize a\ b\;c
tokenize "\x41\n\t\"\\\$\e"
tokenize 'no \n escapes'
tokenize 'two
lines'
tokenize to\
gether
tokenize pre'fix'"ed"
tokenize ''
tokenize --text=--x
tokenize --text "--x"
tokenize --text --x
tokenize -- --x
tokenize "bad \q escape"
tokenize "no zero \x00"
tokenize é€
   tokenize	tabs		   
tokenize "open quote
tokenize never
