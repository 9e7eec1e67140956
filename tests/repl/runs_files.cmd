#! --keep-going --format json
# Out and in again.
import tests/data/store/book-runs.jsonl
import tests/data/store/book-runs.jsonl
import tests/data/store/book-metrics.csv
import tests/data/store/book-samples.json
export runs runs.csv
export metrics metrics.json --where name=base
export samples samples.jsonl
export runs runs.md --where "status=failed"
!cat runs.md samples.jsonl; head -n 3 metrics.json; sed -n 2,3p runs.csv
export tensorboard logs --where command=train
!find logs -type f | sort
export runs x.csv --where nosuch=1
export tensorboard x --as csv
export runs no/such/folder.csv
import runs.md
import nosuch.csv
!printf 'run,metric,step,seq,time,value\n1zzzzzzzzz,loss,1,1,1,1\n' > bad.csv
import bad.csv
!printf 'id,command,status,started_at\n1zzzzzzzzz,x,done,1\n' > bad.csv
import bad.csv
# The same in another database: exports of both are equal, byte by byte.
!"$OLDPWD/vqsh" --db other.db --quiet -c 'import runs.csv; import tests/data/store/book-metrics.csv; import samples.jsonl; export runs runs2.csv; export samples samples2.jsonl; tag base there' > log
!cmp runs.csv runs2.csv && cmp samples.jsonl samples2.jsonl && echo equal
rm wide
merge other.db
merge other.db
run base
merge nosuch.db
merge home/.local/share/vqsh/runs.db
!cp tests/data/store/format1.db old.db
merge old.db
# For reading alone.
set read-only on
tag base x
runs --columns name -n 1
import runs.csv
