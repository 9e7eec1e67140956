#!/bin/sh
# Writing: the same seed gives the same bytes, however it is asked for; extreme settings stay sane.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

load="output /dev/null; load $model; output"
# draw FILE OPTIONS...: what a session prints
draw() {
    file=$1
    shift
    "$program" --no-log --quiet "$@" > "$file" 2> err || fail "$*: $(cat err)"
}
same() {
    cmp "$1" "$2" || fail "$3"
}

prompt='--prompt "Call me Ishmael." --length 120'
draw one --threads 1 -c "$load; sample $prompt --seed 7"
for threads in 2 4; do
    draw other --threads $threads -c "$load; sample $prompt --seed 7"
    same one other "--threads $threads writes another text"
done
for backend in portable auto; do
    draw other --threads 1 -c "set gemm $backend; $load; sample $prompt --seed 7"
    same one other "--seed 7 with gemm $backend writes another text"
done

# Several together are the same as one at a time; --out keeps what the screen shows.
draw many --threads 2 -c "$load; sample $prompt --seed 5 -n 3 --out text.txt"
for i in 0 1 2; do
    draw "text$i" --threads 1 -c "$load; sample $prompt --seed $((5 + i)) --out single.txt"
    printf '\n' | cat "text-$i.txt" - > expected
    cmp -s expected "text$i" || cmp "text-$i.txt" "text$i" || fail "-n 3 and -n 1 differ at $i"
    cmp single.txt "text-$i.txt" || fail "--out differs from the text of -n 3 at $i"
done
cat text0 text1 text2 | cmp - many || fail "-n 3 does not print what -n 1 prints, one after another"

# A prompt, or the session fed with it: the same state, the same text.
printf 'Call me Ishmael.' > prompt.txt
draw a --threads 1 -c "$load; sample --prompt-file prompt.txt --length 120 --seed 7"
same one a "--prompt-file differs from --prompt"
draw b --threads 1 -c "$load; output /dev/null; feed --file prompt.txt; output
    sample --continue --length 120 --seed 7"
same one b "--continue differs from --prompt"

# A seed that was drawn is told, and repeats the draw.
"$program" --no-log --threads 1 -c "$load; sample --length 60" > a 2> err
seed=$(sed -n 's/.*, seed \([0-9]*\).*/\1/p' err)
draw b --threads 1 -c "$load; sample --length 60 --seed $seed"
same a b "seed $seed, as printed, does not repeat the draw"
draw a --threads 1 --seed 31 -c "$load; sample --length 60"
draw b --threads 1 -c "set seed 31; $load; sample --length 60"
same a b "--seed and set seed differ"

# No temperature, nothing of the nucleus, one candidate: always the likeliest.
draw greedy --threads 1 -c "$load; sample --length 60 --seed 1 --temperature 0"
for option in '--top-p 0' '--top-p 1e-9' '--top-k 1' '--temperature 1e-9' '--temperature 1e-300' \
    '--top-p 0 --top-p-rule reference'; do
    draw other --threads 1 -c "$load; sample --length 60 --seed 2 $option"
    same greedy other "$option is not the likeliest"
done
draw a --threads 1 -c "$load; sample --length 60 --seed 3"
for option in '--top-p 1' '--top-k 0' '--top-k 259' '--top-k 1000000' '--temperature 1'; do
    draw other --threads 1 -c "$load; sample --length 60 --seed 3 $option"
    same a other "$option changes the text"
done
draw hot --threads 1 -c "$load; sample --length 60 --seed 3 --temperature 1e6"
[ -s hot ] || fail "nothing at a high temperature"

exit $status
