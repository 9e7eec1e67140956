#!/bin/sh
# Models of odd shapes: one code and one head of width 1, seven codes and three heads, no aggregate.
# Everything answers, in every format; nothing is NaN; and what cannot be says so.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
tokens="--tokens tests/data/golden/heads3/targets.npy"
common="--set n_vocab=64 --set n_layer=1 --set block_len=5 --set vocab=ids"

# shellcheck disable=SC2086
make_model() {
    out=$1
    shift
    "$tools/random_model" "$out" $common "$@" || fail "no model $out"
}
make_model one.safetensors --set d_model=2 --set d_k=1 --set d_v=1 --set n_head=1 --set n_code=1 \
    --set mem_len=1 --seed 1
make_model odd.safetensors --set d_model=10 --set d_k=3 --set d_v=5 --set n_head=3 --set n_code=7 \
    --set mem_len=3 --set e_tie=1 --set e_preln=1 --set pe_abs=1 --seed 2
make_model blind.safetensors --set d_model=10 --set d_k=3 --set d_v=5 --set n_head=3 \
    --set n_code=7 --set mem_len=3 --set agg_cache=0 --seed 3

# Commands that list or tell, on a session of two sequences.
cat > all << END
feed $tokens
score $tokens --per-token
verify $tokens
next
cache
cache --codes
cache --window --row 1
cache --members
cache --growth 3
cache drop 0
cache window-only 0.2 $tokens
attn 0.1
attn 0.2:0 --pos 1 --row 1
attn 0.1 --per-token
attn 0.1 --span 0-4
attn --mass
attn --distance
stream
stream --per-token
lens
lens -k 2
attribute
surprise
codes
codes --errors
codebook
codebook --seen
codebook --pairs 3
codebook --lorenz
codebook 0.1 --map
codebook 0.1 --similarity
codebook --dead --seen
codebook --against odd
code 0.1:0 0
search 7
search --like 0.1:0/0
compare odd odd $tokens
check odd
END
# What follows a text cannot be two sequences.
sed -i "s/^cache window-only.*/cache window-only 0.2/" all
for m in one odd blind; do
    for format in json csv box; do
        { echo "load $m.safetensors --as odd" && cat all; } > session
        want 0 vqsh --no-log --quiet --format $format session
        ! grep -qw 'NaN\|nan' err || fail "$m, $format: a message says NaN"
    done
    { echo "load $m.safetensors --as odd" && cat all; } > session
    want 0 vqsh --no-log --quiet --format json session
    ! grep -q '"NaN"\|Infinity' out || fail "$m: $(grep -o '.\{40\}"NaN"' out | head -n 3)"
done
want 0 vqsh --no-log --format json -c "load one.safetensors; codebook"
tail -n 1 out | "$tools/json_pick" sim_max dist_min > found
grep -q -v '^null	null$' found && fail "one code has a nearest other: $(cat found)"

load='output /dev/null; load odd.safetensors; output'
want 0 vqsh --no-log -c "load blind.safetensors; feed $tokens; cache window-only"
says 'does not look at the aggregate'
want 1 vqsh --no-log -c "$load; feed $tokens; sample --continue --row 2 --seed 1"
says 'the session holds 2 sequence(s)'
want 1 vqsh --no-log -c "$load; feed $tokens; lens --token 1" && says '<pad>, <eos>, <unk>'
want 0 vqsh --no-log --format json -c "$load; tokenize $tokens"
[ "$("$tools/json_pick" id < out | wc -l)" = 128 ] || fail "tokenize does not list the ids of a file"
want 0 vqsh --no-log -c "$load; save flax --as flax"
says '--set mem_len=3 --set block_len=5 --set agg_cache=1 --set e_scale=1 --set pe_lam=100000'
want 0 vqsh --no-log --format json -c "load flax --set mem_len=3 --set block_len=5 \
    --set agg_cache=1 --set e_scale=1 --set pe_lam=100000; score $tokens"
"$tools/json_pick" nats < out | tail -n 1 > flax.nats
want 0 vqsh --no-log --format json -c "$load; score $tokens"
"$tools/json_pick" nats < out | cmp -s - flax.nats || fail "saved as flax it scores otherwise"

# Gates are a module's, not a head's: one bar for three heads.
want 0 vqsh --no-log -c "$load; feed $tokens; plot gates 0.1 --out all.png; \
    plot gates 0.1:2 --out one.png"
"$tools/png_info" all.png | grep '^pixels' > all.pixels
"$tools/png_info" one.png | grep '^pixels' | cmp -s - all.pixels ||
    fail "the gates of a module and of one of its heads are drawn differently"

exit $status
