#! --keep-going --format table
# Filters, columns and order over runs that are always the same.
import tests/data/store/book-runs.jsonl
import tests/data/store/book-metrics.csv
import tests/data/store/book-samples.json
runs --columns id,name,command,status,model,tags
runs status=finished and command=train --columns name,loss,bits_per_byte,min.loss,seed
runs loss<2.4 or tag=best --columns name,loss --sort loss
runs --columns name,seconds,started,started_at,tokens --sort -seconds -n 2
runs bits_per_byte=inf --columns tokens,bits_per_byte
runs loss=nan --columns name,error,notes,samples
runs metric.loss>2 --columns name,metric.loss,max.loss
runs not (tag=paper or tag=old) and name!=none --columns name
runs "name='tales cold'" --columns name,settings.temperature,config.lr_max
runs config.d_model>=256 --columns name,config.d_model,settings.options.seed
runs sample~ishmael --columns name --sort name
runs seed>10 --columns name,seed
runs started=2026-06-09 --columns name,started
runs "first that learns" --columns name
runs train --status failed --columns error
runs --tag paper --model TEXT --columns name
set format json
runs --columns id,results,seed,tags -n 2 --sort id
set format csv
runs --columns name,loss,tokens command!=score --sort name
# Wrong ones are pointed at.
runs stauts=finished
runs status=finished and (bits_per_bite<2)
runs "status=kiled and model~text"
runs name=base started>soon
runs (name=base
runs tag>3
runs --columns id,nam
runs --columns id,id
runs --sort -losss
runs name=base --limit -1
