#! --keep-going --format table
# Named parameters, and what the tables are.
import tests/data/store/book-runs.jsonl
import tests/data/store/book-metrics.csv
param
param cmd train
param least 2.4
param n 9223372036854775807
param text "7"
param none null
param
param least
sql SELECT name FROM runs WHERE command = :cmd AND name IS NOT NULL ORDER BY name
sql SELECT :least + 0.1 AS sum, $n AS n, typeof(@text) AS text, :none IS NULL AS none
sql SELECT key, value FROM v_results WHERE run LIKE '1f%'
sql SELECT metric, points, min, min_step FROM v_best WHERE run LIKE '1a%'
sql SELECT :nosuch
sql SELECT ?
param 1x 3
param nosuch
param --clear least
param --clear nosuch
param --clear
param
help sql
complete "sql SELECT min_"
complete "sql SELECT v_best.m"
complete "runs status=f"
complete "runs --columns name,sett"
complete "diff ba"
