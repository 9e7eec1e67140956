#!/bin/sh
# `info` says how much memory a model will take: never less than it takes (the peak of the resident
# size), and not much more. In each weight format, for one sequence and for four.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
case $BUILD in
    *-address* | *-thread* | *-memory*)
        echo "skipped: under a sanitizer memory is not the program's own"
        exit 0
        ;;
esac

want 0 "$tools/random_model" model.safetensors --seed 1 --set d_model=512 --set d_k=64 \
    --set d_v=1024 --set n_code=128 --set n_layer=4 --set mem_len=256 --set block_len=256 \
    --set n_vocab=259 --set vocab=bytes
head -c 2000 samples/heldout.txt > prompt

# estimate KEY: what info said of it.
estimate() {
    sed -n "s/^$1.\([0-9][0-9]*\)\$/\1/p" out
}

# check FORMAT FILE SEQUENCES: the peak lies between the estimate and seven tenths of it without the
# constant.
check() {
    want 0 vqsh --no-log --quiet --format plain -c "load $2 --weights $1
        info --sequences $3
        sample -n $3 --length 20 --seed 1 --prompt-file prompt --out text
        !grep VmHWM /proc/\$PPID/status"
    constant=$(estimate memory_constant)
    most=$(estimate memory_peak)
    peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' out)
    echo "$1, $3: estimated $((most / 1024)) kB, $((constant / 1024)) of it constant; peak $peak kB"
    [ $((peak * 1024)) -le "$most" ] || fail "$1, $3: more than was estimated"
    [ $((peak * 1024)) -ge $(((most - constant) * 7 / 10)) ] || fail "$1, $3: far less than that"
}

for format in f32 bf16 int8; do
    check $format model.safetensors 1
    check $format model.safetensors 4
done
want 0 vqsh --no-log --quiet -c 'load model.safetensors; save q.safetensors --weights int8'
check int8 q.safetensors 1

# What was read of the file is let go of: what stays is less than a tenth of it.
want 0 vqsh --no-log --quiet -c 'load model.safetensors
    feed --text a
    !grep -E "RssFile|RssShmem" /proc/$PPID/status
    tensors --file q.safetensors *_0/*'
mapped=$(awk '/^Rss/ { sum += $2 } END { print sum }' out)
size=$(wc -c < model.safetensors)
echo "mapped pages that stay: $mapped kB, the program's own among them, of a file of $((size / 1024))"
[ "$mapped" -lt $((16000 + size / 10240)) ] || fail "pages of the file stay"

exit $status
