#! --keep-going --format table
# Tags, names and notes; removing and having back.
import tests/data/store/book-runs.jsonl
tag base golden
tag base golden new
untag wide paper nosuch
tag base "two words"
tag nosuch x
name 1c hot
name hot
name 1c
run 1c
note base "a second note"
note base --number 1 "the first note, changed"
note base
note base --number 7 "x"
runs note~changed --columns name,notes
note base --number 2 ""
set format jsonl
rm base wide
rm --where status=failed
runs --columns name
runs --removed --columns name --sort name
run base
undo
undo base
undo
undo
undo base
rm 1c base 1c
purge --dry-run
purge wide
purge 1c
runs --removed --columns name
purge --older 30d
purge --older soon
purge
gc
rm
rm --where statu=failed
rm -99
sql SELECT count(*) AS n FROM runs
