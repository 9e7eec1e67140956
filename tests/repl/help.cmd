#! --keep-going
help next
next --help
help quit
q --help
? use
help no such thing
help --nothing
