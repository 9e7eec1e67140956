#! --quiet --keep-going --format plain
# What could stand in filters, lists of columns, options and tags; exports to standard output; what
# was probably meant.
import tests/data/store/book-runs.jsonl
import tests/data/store/book-metrics.csv
complete "runs stat"
complete "runs status=f"
complete "runs tag=b"
complete "runs not (command=s"
complete "runs model~t"
complete "runs config.d"
complete "runs config.d_model>1 and min.l"
complete "runs --columns id,config.l"
complete "runs --sort -metric.t"
complete "plot metric --run base --metric l"
complete "watch base --metric=t"
complete "tag -1 b"
complete "untag base be"
complete "diff -1 tal"
export runs - --where name=base
export metrics - --where name=base --as jsonl
export samples -
export tensorboard -
export codebook -
!"$OLDPWD/vqsh" --db home/.local/share/vqsh/runs.db --format json -c 'export samples - --where name=base'
runs metric=1
runs metrics=1
help runz
help nothing like it
