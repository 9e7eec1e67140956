#!/bin/sh
# The numbers of the authors' code, end to end through the program: for each golden model what
# `score` and `export` write against the stored arrays, attention that sums to one, `verify`; the
# shipped model on the shipped text. Tolerances are those of tests/data/golden/README.md. With a
# folder as argument: the models there, in both Flax layouts (check_numbers_full.sh).
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

diff_npy() {
    what=$1
    shift
    "$tools/npy_diff" "$@" > diff.out 2>&1 || fail "$what: $(cat diff.out)"
}

# check DIR CHECKPOINT: all arrays of one case.
check() {
    dir=$1
    name=$(basename "$dir")
    want 0 vqsh --no-log --quiet -c "load '$2' --as case
        score --tokens '$dir/targets.npy' --logprobs logprobs.npy
        feed --tokens '$dir/inputs.npy'
        export cache.lower lower.npy; export cache.upper upper.npy
        export cache.window window.npy
        export cache.window.k window_k.npy; export cache.window.v window_v.npy
        export codes codes.npy
        export logprobs fed.npy
        verify --tokens '$dir/inputs.npy'" || return
    [ -s err ] && fail "$name: $(cat err)"
    diff_npy "$name logprobs" "$dir/logprobs.npy" logprobs.npy --abs 3e-5 --head
    diff_npy "$name logprobs of fed tokens" logprobs.npy fed.npy --abs 1e-5
    diff_npy "$name codes" "$dir/shortcodes.npy" codes.npy
    diff_npy "$name window" "$dir/state_xl_z.npy" window.npy
    case $name in
        *noagg) diff_npy "$name counts" "$dir/state_agg_lower.npy" lower.npy ;;
        *) diff_npy "$name counts" "$dir/state_agg_lower.npy" lower.npy ;;
    esac
    for pair in state_agg_upper_div_lower:upper state_xl_k_hat:window_k state_xl_v:window_v; do
        array=$dir/${pair%:*}.npy

        [ ! -f "$array" ] ||
            diff_npy "$name ${pair#*:}" "$array" "${pair#*:}.npy" --abs 1e-5 --max 1e-5
    done
}

# attention DIR: the rows of some queries of each head sum to one.
attention() {
    want 0 vqsh --no-log --quiet --format json -c "load '$1/model.safetensors' --as case
        output /dev/null; feed --tokens '$1/inputs.npy'; output
        attn 0.1 --row 1; attn 0.2 --pos 0; attn 0.2 --pos 20; attn 0.1 --pos -2 --row 1" || return
    sed 1d out | while read -r line; do
        printf '%s\n' "$line" | "$tools/json_pick" head weight | awk '
            { sum[$1] += $2; n[$1]++ }
            END { for (h in sum) if (sum[h] < 1 - 1e-6 || sum[h] > 1 + 1e-6) {
                      printf "head %s: %d weights sum to %.9g\n", h, n[h], sum[h]; exit 1 } }'
    done > sums || fail "$1: $(cat sums)"
    [ -s sums ] && fail "$1: $(cat sums)"
}

if [ $# -gt 0 ]; then
    for dir in "$1"/*/; do
        dir=${dir%/}
        [ -f "$dir/shortcodes.npy" ] || continue
        check "$dir" "$dir/checkpoint_3"
        [ ! -d "$dir/legacy" ] || check "$dir" "$dir/legacy/checkpoint_3"
    done
    exit $status
fi

for dir in tests/data/golden/*/; do
    dir=${dir%/}
    [ -f "$dir/model.safetensors" ] || continue
    check "$dir" "$dir/model.safetensors"
    attention "$dir"
done

# The shipped model on the shipped text: the authors' forward pass in float64.
want 0 vqsh --no-log --quiet --format json -c "output /dev/null; load $model; output
    score --file samples/heldout.txt"
"$tools/json_pick" bits_per_byte < out > bits
awk '{ d = $1 - 1.7196891637; if (d < 0) d = -d; exit !(d < 1e-6) }' bits ||
    fail "heldout.txt: expected 1.7196891637 bits per byte, found $(cat bits)"

# The models that this program trained, as they were judged when they were made.
for judged in 'prose samples/heldout.txt 1.53570' 'emoji samples/emoji.png 0.72524'; do
    # shellcheck disable=SC2086
    set -- $judged
    want 0 vqsh --no-log --quiet --format json -c "output /dev/null
        load samples/models/$1.safetensors; output; score --file $2"
    "$tools/json_pick" bits_per_byte < out > bits
    awk -v want="$3" '{ d = $1 - want; if (d < 0) d = -d; exit !(d < 1e-4) }' bits ||
        fail "$1 on $2: expected $3 bits per byte, found $(cat bits)"
done

# Products of rounded numbers, where the processor has them, stay within 0.001 of that.
if vqsh --no-log -c 'set gemm bf16' > /dev/null 2>&1; then
    want 0 vqsh --no-log --quiet --format json -c "set gemm bf16; output /dev/null; load $model
        output; score --file samples/heldout.txt"
    tail -n 1 out > json
    "$tools/json_pick" bits_per_byte < json > bits
    awk '{ d = $1 - 1.7196891637; if (d < 0) d = -d; exit !(d > 1e-6 && d < 1e-3) }' bits ||
        fail "heldout.txt with gemm bf16: $(cat bits) bits per byte"
else
    echo "gemm bf16: skipped: no bfloat16 instructions here" >&2
fi

exit $status
