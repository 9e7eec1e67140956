#! --keep-going --format table
set seed 7
set seed
show seed
set format csv
set format
set format table
set threads 0
set nothing 1
set tmperature 0.5
show nothing
set threads -1
set threads 1000
set threads x
set seed -1
set seed random
set temperature -1
set temperature nan
set timing maybe
set gemm nothing
set width 5
set width 200
set format sql
set seed 1 2
show seed threads
