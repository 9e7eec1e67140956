#!/bin/sh
# Training through the program: what it prints and records, stopping and going on, what it refuses,
# and a short version of the demo.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
text=samples/shakespeare.txt
tiny="--preset text-tiny --data $text --set global_batch_size=2 --set p_dropres=0.1 --seed 5"

key() {
    "$tools/json_pick" "$1" < "$2"
}

# ---- what comes out, and what is recorded
want 0 vqsh --db runs.db --format json -c "train --out a $tiny --steps 6 --save-every 2"
cp out a.json
for k in step loss bits_per_byte tokens seconds tokens_per_second path run; do
    [ "$(key $k a.json)" != - ] || fail "train does not say $k"
done
[ "$(key step a.json)" = 6 ] || fail "it ended at step $(key step a.json)"
[ "$(key path a.json)" = a/checkpoint_6.safetensors ] || fail "it wrote $(key path a.json)"
says 'memory: '
[ "$(ls a)" = "checkpoint_2.safetensors
checkpoint_4.safetensors
checkpoint_6.safetensors
training.json" ] || fail "it left $(ls a)"
want 0 vqsh --db runs.db --format csv -c \
    "sql \"SELECT metric, count(*) FROM v_metrics GROUP BY metric\""
for m in loss loss_commit_per_token lr grad_norm tokens_per_second bits_per_byte; do
    grep -q "^$m,6" out || fail "there are not 6 points of $m: $(grep "^$m" out)"
done
grep -q '^c_entropy,2' out || fail "the codebooks are not measured in the first update and the last"
want 0 vqsh --db runs.db --format json -c "run -1"
[ "$(key status out)" = finished ] || fail "the run is $(key status out)"
[ "$(key seed out)" = 5 ] || fail "the run's seed is $(key seed out)"

# ---- going on, with what the checkpoint says and with nothing but it
want 0 vqsh --no-log -c "train --out b $tiny --steps 3"
want 0 vqsh --no-log -c "train --out b --from b --data $text --steps 3"
cmp a/checkpoint_6.safetensors b/checkpoint_6.safetensors || fail "going on made other bytes"
want 0 "$program" --threads 3 --no-log -c "train --out c $tiny --steps 6 --save-as flax"
want 0 vqsh --no-log --format json -c "load c; tensors --stats"
tail -n 1 out > flax
want 0 vqsh --no-log --format json -c "load a; tensors --stats"
tail -n 1 out | cmp -s - flax || fail "the authors' layout, or threads, made other numbers"
want 0 vqsh --no-log -c "train --out d --from c/checkpoint_6 --data $text --steps 2 --save-as flax"
want 0 vqsh --no-log -c "train --out e --from a --data $text --steps 2 --save-as flax"
cmp d/checkpoint_8/checkpoint e/checkpoint_8/checkpoint || fail "going on from flax made other bytes"

want 0 vqsh --no-log -c "load b/checkpoint_3.safetensors; save copy.safetensors"
cmp b/checkpoint_3.safetensors copy.safetensors || fail "save made another file of a checkpoint"
want 0 vqsh --no-log -c "load a; save alone.safetensors --params-only"
want 0 vqsh --no-log --format json -c \
    "train --out f --from alone.safetensors --data $text --steps 1 --seed 1"
says 'no optimiser state'
[ "$(key step out)" = 1 ] || fail "parameters alone began at step $(key step out)"

# The help says what data may be.
for command in train eval; do
    want 0 vqsh --no-log -c "help $command"
    grep -q '^  imagenet64  npz ' out || fail "help $command does not list the kinds of data"
done

# ---- stopped in the middle
stop() {
    "$program" --threads 1 --db runs.db -c \
        "train --out $2 $tiny --steps 100000 --save-every $3 --keep 2; !echo zzyzx" > out 2> err &
    pid=$!
    for _ in $(seq 300); do
        [ -f "$2/checkpoint_$3.safetensors" ] && break
        sleep 0.1
    done
    [ "$1" = INT ] && sleep 0.3
    kill -"$1" $pid
    wait $pid 2> /dev/null
    found=$?
    vqsh --db runs.db --format json -c 'run -1' > run.json 2> run.err
}
stop INT int 3
[ $found = 130 ] || fail "interrupted: exit status $found: $(cat err)"
says 'train: interrupted'
! grep -q zzyzx out || fail "the commands after the interrupted one ran"
[ "$(key status run.json)" = interrupted ] || fail "the run is $(key status run.json)"
last=$(find int -name 'checkpoint_*' | sed 's/[^0-9]//g' | sort -n | tail -n 1)
want 0 vqsh --no-log -c "train --out int --from int --data $text --steps 1"
want 0 vqsh --no-log -c "train --out whole $tiny --steps $((last + 1))"
cmp int/checkpoint_$((last + 1)).safetensors whole/checkpoint_$((last + 1)).safetensors ||
    fail "going on after an interrupt made other bytes"

stop KILL kill 3
[ "$(key status run.json)" = crashed ] || fail "the killed run is $(key status run.json)"
want 0 vqsh --no-log --format json -c "load kill; verify --length 20 --seed 1"

# Validation data may say their kind.
want 0 vqsh --no-log -c "train --out v $tiny --steps 1 --valid-every 1 \
    --set sequence_len=128 --set update_len=128 --set block_len=64 \
    --valid tokens:tests/data/golden/enwik8/targets.npy" && says 'validation loss'

# ---- what cannot be
refuses() {
    want 1 vqsh --no-log -c "train --out no $2" && says "$1"
    [ ! -e no ] || fail "train $2: it made the folder although it refused"
}
refuses 'give --data' "--preset text-tiny"
refuses 'give --data or --tokens, not both' "$tiny --tokens tests/data/golden/enwik8/targets.npy"
refuses 'a new model needs a configuration' "--data $text"
refuses 'rows: expected at most the 2 sequence(s) of the batch, found 3' "$tiny --rows 3"
refuses 'update_len: expected a multiple of block_len (100), found 256' "$tiny --set block_len=100"
refuses 'sequence_len: expected a multiple of update_len (256), found 300' \
    "$tiny --set sequence_len=300"
refuses 'inv_sqrt' "$tiny --set lr_schedule=inv_sqrt"
refuses 'nothing-here' "--preset text-tiny --data nothing-here"
refuses 'unknown setting' "$tiny --set learning_rate=1"
want 1 vqsh --no-log -c "train --out a $tiny --steps 1" && says 'holds checkpoint_6'
want 1 vqsh --no-log -c "train --out no --from a --data $text --set optimizer=lion --steps 1" &&
    says lion

# ---- a loss that is not finite
want 1 vqsh --db runs.db -c "train --out bad $tiny --set lr_max=1e6 --set grad_clip=none \
    --set wd_lam=1 --set n_warmup_step=0"
says 'update '
[ "$(find bad -name 'checkpoint_*' | wc -l)" = 1 ] || fail "the last good step was not saved"
want 0 vqsh --db runs.db --format json -c "run -1"
[ "$(key status out)" = failed ] || fail "the run is $(key status out)"

# ---- the demo, with fewer updates
mkdir build
sed 's/n_max_step=600/n_max_step=30 --set n_warmup_step=5/; s/--valid-every 200/--valid-every 15/' \
    samples/train-demo.vqsh > demo.vqsh
want 0 vqsh --db demo.db --format plain demo.vqsh
says 'the best so far'
want 0 vqsh --db demo.db --format csv -c "sql \"SELECT value < 4.2 FROM v_metrics \
    WHERE metric = 'loss' ORDER BY step DESC LIMIT 1\""
[ "$(tail -n 1 out)" = 1 ] || fail "the demo's loss did not fall"

exit $status
