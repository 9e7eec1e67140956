#! --keep-going
load samples/models/text-small.safetensors --as t
feed --text "Call me Ishmael. Some years ago, never mind how long precisely"
state fork early
feed --text " having little or no money in my purse, and nothing particular to interest me on shore, I thought I would sail about a little"
state save window.safetensors
state save all.safetensors --history
cache --window-text
# A fork has its own text and codes, and goes on by itself.
state use early
cache --window-text
code 0.1 5 --top 1
feed --text " (that was all)"
cache --window-text
state use early
cache --window-text
code 0.1 5 --top 1
# A state file holds the window's text; the whole text on demand.
reset
state load window.safetensors
cache --window-text
attn 0.1 --pos 3 --top 1
feed --text " and see the watery part of the world"
cache --window-text
attn 0.1 --pos 150 --top 1
state load all.safetensors
cache --window-text
attn 0.1 --pos 3 --top 1
feed --text " and see"
attn 0.1 --pos 3 --top 1
# Taking codes out of the cache keeps the text, but it cannot be run again to look back.
cache drop 0-63 --apply --top 1
cache --window-text
attn 0.1 --pos 3 --top 1
state list --history
