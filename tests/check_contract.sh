#!/bin/sh
# What other programs rely on: every command under --format json answers with one JSON value that
# holds the promised keys; numbers lose nothing; nothing but results on stdout, no escapes in a
# pipe, and the same bytes where the decimal point is a comma. The spec's form is told in
# tests/tools/json_check.c.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

# session MODEL FEED SCORE VERIFY: one session over all commands, answered as promised. The last
# three are options of these commands. Where the vocabulary is no text, commands on texts are left
# out.
session() {
    cat > spec << END
load '$1' --as m => object name path format step params bytes weights sha256 vocab config.d_model
models => array current name path step params weights position prepared
info => object name path format step params bytes weights sha256 vocab config.mem_len
tensors => array name shape dtype count bytes
tensors *c_count --stats => array name shape dtype count bytes min max mean std nan inf
tokenize ab => array position id token
detokenize 100 101 => object tokens bytes text
next -k 3 => array rank id token prob/f32 logprob/f32
feed $2 => object position tokens seconds tokens_per_second
state => object model position batch bytes
state fork here => object name position
state list => array name position batch bytes
state save s.safetensors => object path bytes position
next -k 3 => array rank id token prob/f32 logprob/f32
cache => array module head window filled codes_used positions_aggregated count_max entropy
cache --codes => array module head code count mean_value_norm
cache 0.1 --window => array module head position token code value_norm
attn 0.2 => array where position_or_code token weight score
attn 0.2:0 --pos 3 --top 2 => array where position_or_code token weight score
code 0.1 3 => object module head code c_count norm neighbours tokens contexts profile errors typical atypical
codes --modules 0.1 => array position id token
search --like 0.1/3 --top 2 => array module head code sim dist both overlap
cache 0.1 --members --top 1 => array module head code count oldest newest oldest_age newest_age drawn tokens
cache --diff here => array module head before after appeared gone grown shrunk moved_mean moved_max
cache window-only 0.1 --top 2 => object verb position positions_dropped kl modules changes
attn 0.2 --per-token --top 2 => array head position token distance where code weight
attn 0.2 --span -2:-1 => array query token own window aggregate distance entropy top_position top_weight
attn --mass => array module head queries own window aggregate distance entropy
attn 0 --distance => array module head from to weight weight_per_position pairs
stream => array module tokens stream_norm branch_norm cosine gate_mean gate_closed gate_negative gate_max
lens => array after id token prob entropy target_prob target_rank kl_to_final
attribute => object position id token logit sum frozen factor parts
surprise --top 2 => array position id token bits prob entropy_bits rank best_id best
compare m m => object a b tensors equal differ other_shapes only_a only_b codebooks
check m => object path format bytes structure data unclaimed overlapping tensors gaps overlaps out_of_order unaligned nan inf codes dead sound findings dtypes
export logprobs l.npy => object path shape dtype
export logits l.npy => object path shape dtype
export codes l.npy => object path shape dtype
export codebook l.npy => object path shape dtype
export cache.lower l.npy => object path shape dtype
export cache.upper l.npy => object path shape dtype
export cache.window l.npy => object path shape dtype
export attn l.npy => object path shape dtype
plot usage --out p.png => object path width height
plot similarity --out p.png => object path width height
plot cache --out p.png => object path width height
plot attn --out p.png => object path width height
plot next --out p.png => object path width height
codebook => array module head codes used dead entropy perplexity count_min count_mean count_max norm_mean sim_max dist_min rel_err_mean
codebook --over tests/data/prose.txt => array module head codes used dead entropy perplexity rel_err_mean
codebook 0.1 --pairs 2 => array module head a b dist sim
codebook --lorenz => array module head codes gini top_share top_tenth_share codes_for_half
codebook 0.1 --map => array module head code x y count
codebook --dead --seen => array module head code c_count norm nearest nearest_dist gap fell_on token position
codebook --against m => array module head codes alive dead died born moved_mean moved_max sim_mean usage_distance
state load s.safetensors => object model position batch bytes
state use here => object model position batch bytes
state drop here => object name
reset => object position
score $3 => object tokens nats nats_per_token bits_per_byte perplexity tokens_per_second run
score --text abc --per-token => object tokens nats nats_per_token bits_per_byte perplexity tokens_per_second per_token
sample -n 2 --length 4 --seed 1 => array index tokens seed path text nats run
sample --length 4 --seed 1 --out x.txt => array index tokens seed path text nats run
verify $4 => object max_abs_logit_error max_rel_state_error positions passed
save m.safetensors => object path bytes
save checkpoint_1 --as flax => object path bytes
runs => array id started seconds status command command_line model seed results
run -1 => object id status command command_line model model_sha256 seed threads version host started ended results samples metrics
sql "SELECT command, seed FROM runs" => array command seed
diff -2 -1 => array attribute a b
tag -1 best => object id tags
note -1 "so far" => object id notes
replay -1 => object run replay bit_equal
rm -1 => object removed
undo => object restored
eval --data samples/heldout.txt --split train --limit 600 --length 64 => object split tokens words nats_per_token bits_per_byte perplexity word_perplexity tokens_per_second
codes --text ab => array position id token
search e --over tests/data/prose.txt => array module head code count
bench train --preset text-tiny --updates 1 --seconds 0 => array path tokens tokens_per_second gbytes_per_second gflops limit_tokens_per_second fraction
bench paper --quick --preset text-tiny => array path tokens vq dense blocked vq_over_dense vq_over_blocked extrapolated tokens_per_second repeats preset dtype run
set => array name value default help
set timing off => object name value
show seed => object name value default help
timing => object timing
use m => object name
help => array name group usage summary
help sample => object name group usage summary detail options
complete "loa" => array candidate
output x.json => nothing
output => nothing
unload => object name
END
    [ "${5:-}" != ids ] || sed -i -E '/^(de)?tokenize|--text|--over|^eval/d' spec
    sed -n 's/ => .*//p' spec > commands
    want 0 vqsh --db c.db --format json commands || return
    "$tools/json_check" spec < out > faults || fail "$1: $(cut -c1-300 faults)"
    plain
    rm -f c.db*
}

golden=tests/data/golden
session $model '--file samples/heldout.txt' '--file tests/data/prose.txt' '--length 32'
session $golden/tied/model.safetensors "--tokens $golden/tied/inputs.npy" \
    "--tokens $golden/tied/targets.npy" "--tokens $golden/tied/inputs.npy"
session $golden/heads3/model.safetensors "--tokens $golden/heads3/inputs.npy" \
    "--tokens $golden/heads3/targets.npy" "--tokens $golden/heads3/inputs.npy" ids

# Numbers lose nothing: what `next` prints as text are the floats that `export` writes.
want 0 vqsh --no-log --format json -c "output /dev/null; load $model; feed --text abcdefgh
    export logprobs l.npy; output; next -k 259"
"$tools/json_pick" id logprob < out | sort -n | cut -f 2 > text
tail -c $((259 * 4)) l.npy | od -An -v -tf4 -w4 | paste text - |
    awk '$1 + 0 != $2 + 0 { print; bad = 1 } END { exit bad || NR != 259 }' > differ ||
    fail "next and export differ: $(head -n 3 differ)"

want 0 vqsh --db n.db --format json -c "sql SELECT 9223372036854775807 AS a, 0.1 AS b, 1e300 AS c, \
9e999 AS d, -9e999 AS e, NULL AS f, 5e-324 AS g, 2.0 AS h, 'a\"b' AS i, x'ff41' AS j, 1/3.0 AS k"
printf '%s\357\277\275%s\n' '[{"a":9223372036854775807,"b":0.1,"c":1e+300,"d":"Infinity",'\
'"e":"-Infinity","f":null,"g":4.94065645841247e-324,"h":2,"i":"a\"b","j":"' \
    'A","k":0.3333333333333333}]' > expected
diff expected out > differ || fail "sql: $(cat differ)"

# No say for the locale: the same bytes where the decimal point is a comma.
numbers="load $model; info; tensors *c_count --stats; output /dev/null; feed --text abcdefgh; output
    next; codebook; attn 0.1; sample --seed 3 --length 20; set temperature 0.5; show temperature; sql SELECT 0.25 AS x"
german=$root/build/locale/de_DE.UTF-8
for format in table box csv json jsonl markdown line plain html; do
    for locale in C.UTF-8 de_DE.UTF-8; do
        LOCPATH=$(dirname "$german") LC_ALL=$locale "$program" --threads 1 --no-log \
            --format $format -c "$numbers" > $locale 2>&1
    done
    cmp C.UTF-8 de_DE.UTF-8 || fail "--format $format depends on the locale"
done
[ -d "$german" ] || echo "note: build/locale holds no German locale; tests/run.sh makes it"

exit $status
