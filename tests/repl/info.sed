# What a session takes depends on how it is kept.
s/^(memory_(state|peak) +)[0-9]+/\1BYTES/
