#!/bin/sh
# Run history where other programs and files take part: runs followed while they are written or
# killed, many writers at once, pictures left behind, the editor, a database that is only read.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

pick() {
    "$tools/json_pick" "$@" < out
}

# ---- following a run that another program is training
tiny="--preset text-tiny --data samples/shakespeare.txt --set global_batch_size=2 --seed 5"
"$program" --threads 1 --db runs.db --quiet -c "train --out a $tiny --steps 30" > /dev/null 2> train.err &
trainer=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 0.1
    vqsh --db runs.db -c 'runs status=running' 2> /dev/null | grep -q train && break
done
# followed DB: the last command's output is every point of the database, once. Of times, watch shows
# the second that has begun, where strftime() alone rounds to whole milliseconds first.
followed() {
    sort out > followed
    want 0 vqsh --db "$1" --format csv -c \
        "sql SELECT strftime('%Y-%m-%d %H:%M:%S', CAST(time AS INTEGER), 'unixepoch') AS time, metric, step, value FROM v_metrics"
    sort out | diff - followed > differ || fail "watch missed or doubled points of $1: $(head -n 20 differ)"
}
want 0 vqsh --db runs.db --format csv -c 'watch --every 0.05'
wait $trainer || fail "train failed: $(cat train.err)"
followed runs.db
[ "$(grep -c ',loss,' followed)" = 30 ] || fail "there are $(grep -c ',loss,' followed) losses"

# One metric of it, and one that is not there.
want 0 vqsh --db runs.db --format jsonl -c 'watch -1 --metric loss'
[ "$(wc -l < out)" = 30 ] || fail "watch --metric loss gave $(wc -l < out) rows"
want 0 vqsh --db runs.db --format csv -c 'watch -1 --metric nosuch'
[ "$(cat out)" = time,metric,step,value ] || fail "watch of nothing gave $(cat out)"

# The curve goes to a file, by steps, tokens and time.
for align in step tokens time; do
    want 0 vqsh --db runs.db --format json -c \
        "plot metric --run -1 --metric loss --align $align --smooth 0.5 --out $align.png"
    "$tools/png_info" $align.png | grep -q '^size 960 540$' || fail "--align $align is no picture"
done

# Training again gives the same bits, points and checkpoint.
want 0 vqsh --db runs.db --format json -c 'replay -1'
[ "$(pick bit_equal)" = true ] || fail "training came out differently: $(cat out)"
[ "$(pick files)" = 1 ] && [ "$(pick points)" -ge 90 ] || fail "little was compared: $(cat out)"

# Speeds come out differently each time, and that is no difference.
want 0 vqsh --db bench.db --format json -c 'output first; bench train --preset text-tiny --set global_batch_size=1 --updates 1 --seconds 0; output; replay -1'
[ "$(pick bit_equal)" = true ] || fail "a bench came out differently: $(cat out)"
says 'measured anew'

# ---- a writer that is killed: who watches it is told
"$program" --threads 1 --db killed.db --quiet -c "load $model; sample --length 100M --seed 1" \
    > /dev/null 2>&1 &
victim=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 0.1
    vqsh --db killed.db -c 'runs status=running' 2> /dev/null | grep -q sample && break
done
"$program" --db killed.db -c 'watch --every 0.05' > watched 2>&1 &
watcher=$!
sleep 0.3
kill -9 $victim
wait $victim 2> /dev/null
wait $watcher || fail "watch ended with $?"
grep -q 'crashed: its process ended without a word' watched || fail "watch said: $(cat watched)"
want 0 vqsh --db killed.db -c 'sql PRAGMA integrity_check'
shows ok
want 1 vqsh --db killed.db -c 'replay -1'
says 'is crashed'

# ---- eight programs write at once; every one of their runs is there, and nobody met a lock
for i in 1 2 3 4 5 6 7 8; do
    (
        n=0
        while [ $n -lt 5 ]; do
            vqsh --db many.db --quiet --load $model -c \
                "score --text abc; tag -1 w$i; sample --length 2 --seed $i" || exit 1
            n=$((n + 1))
        done
    ) > /dev/null 2> "writer$i.err" &
    writers="${writers:-} $!"
done
for pid in $writers; do
    wait "$pid" || fail "a writer failed: $(cat writer*.err)"
done
! grep -i lock writer*.err || fail "somebody met a lock"
want 0 vqsh --db many.db --format csv -c 'sql SELECT count(*) FROM runs; sql SELECT count(*) FROM samples'
grep -qx 80 out && grep -qx 40 out || fail "runs or samples were lost: $(cat out)"

# ---- lists on a screen stop at a page; what goes elsewhere is complete
awk 'BEGIN { for (i = 0; i < 1200; i++)
    printf "{\"id\":\"%010d\",\"command\":\"train\",\"status\":\"finished\",\"started_at\":%d}\n", i, i }' \
    > crowd.jsonl
want 0 vqsh --db crowd.db --quiet -c 'import crowd.jsonl; export runs crowd.csv; export runs back.jsonl'
[ "$(wc -l < crowd.csv)" = 1201 ] || fail "export wrote $(wc -l < crowd.csv) lines for 1200 runs"
[ "$(wc -l < back.jsonl)" = 1200 ] || fail "export wrote $(wc -l < back.jsonl) of 1200 runs"
want 0 vqsh --db crowd.db --format csv -c runs
[ "$(wc -l < out)" = 1201 ] || fail "runs listed $(wc -l < out) lines for 1200 runs"

# Points on both sides of where a second is rounded up.
awk 'BEGIN { print "run,metric,step,seq,time,value"
    for (i = 0; i < 20; i++) printf "0000000000,loss,%d,%d,%.6f,1\n", i, i, 1781000000 + 0.9990 + i / 20000 }' > edge.csv
want 0 vqsh --db crowd.db --quiet -c 'import edge.csv'
want 0 vqsh --db crowd.db --format csv -c 'watch 0000000000'
[ "$(grep -c ' 10:13:20,loss' out)" = 20 ] || fail "watch shows other seconds: $(cat out)"
followed crowd.db

# ---- pictures of runs that are gone
"$tools/random_model" paint.safetensors --set d_model=16 --set d_k=4 --set d_v=16 --set n_code=4 \
    --set n_layer=1 --set n_vocab=259 --set mem_len=16 --set block_len=16 --set vocab=image64 \
    --set e_tie=1 --set e_scale=0.1 --seed 5 || fail "no model"
paint='load paint.safetensors; sample -n 2 --seed 5 --out set/; name -1 painted'
mkdir set
want 0 vqsh --db art.db --quiet -c "$paint"
want 0 vqsh --db art.db --format json -c 'replay painted'
[ "$(pick bit_equal files)" = "$(printf 'true\t5')" ] ||
    fail "painting again: $(pick bit_equal files differences.what)"
[ "$(ls set)" = "$(printf 'sample-0.png\nsample-1.png\nsheet.png')" ] || fail "set/: $(ls set)"
want 0 vqsh --db art.db -c 'rm painted; gc'
[ "$(ls set | wc -l)" = 3 ] || fail "gc deleted what can still come back"
want 0 vqsh --db art.db -c 'purge'
cp "$root/samples/usage.png" set/sample-1.png # it is another picture now
want 0 vqsh --db art.db --format json -c 'gc --dry-run'
[ "$(pick what | sort | uniq -c | tr -s ' ')" = "$(printf ' 1 not of this run any more\n 2 to delete')" ] ||
    fail "gc --dry-run: $(cat out)"
[ "$(ls set | wc -l)" = 3 ] || fail "gc --dry-run deleted something"
want 0 vqsh --db art.db --format json -c 'gc'
[ "$(ls set)" = sample-1.png ] || fail "gc left $(ls set)"
want 0 vqsh --db art.db --format json -c 'gc'
[ "$(cat out)" = '[]' ] || fail "gc found more: $(cat out)"

# ---- a note from the editor; its file is removed
cat > editor << 'END'
#!/bin/sh
[ "$(stat -c %a "$1")" = 600 ] || exit 7
echo "$1" > edited
printf 'first line\nsecond "line"\n\n' >> "$1"
END
chmod +x editor
export EDITOR="$PWD/editor"
want 0 vqsh --db art.db --quiet -c 'load paint.safetensors; sample --length 5 --seed 1 --out p.png; note -1 --edit'
want 0 vqsh --db art.db --format json -c 'run -1'
[ "$(pick notes.note)" = 'first line
second "line"' ] || fail "the note is $(pick notes.note)"
[ ! -e "$(cat edited)" ] || fail "the editor's file was left behind"
want 0 vqsh --db art.db --quiet -c 'note -1 --number 1 --edit'
want 0 vqsh --db art.db --format json -c 'run -1'
[ "$(pick notes.note | wc -l)" = 3 ] || fail "the editor did not begin with the note: $(pick notes.note)"
EDITOR=false want 1 vqsh --db art.db -c 'note -1 --edit'
says 'nothing was noted'
want 1 vqsh --db art.db -c 'note -1'
says 'give the text'

# ---- a database that is only read stays as it is, bit by bit
before=$(sha256sum < art.db)
want 0 vqsh --db art.db --read-only --format csv -c "load $model; score --text abc; runs; sql SELECT 1"
want 1 vqsh --db art.db --read-only -c 'tag -1 x'
says 'read-only'
want 1 vqsh --db none.db --read-only -c runs
[ ! -e none.db ] || fail "--read-only made a database"
[ "$before" = "$(sha256sum < art.db)" ] || fail "--read-only changed the database"

exit $status
