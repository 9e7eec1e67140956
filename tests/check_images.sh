#!/bin/sh
# Painting, with a random model of pictures (no trained one is small enough to travel): files, notes,
# prompts, reproducibility, special ids, interruption.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

"$tools/random_model" paint.safetensors --set d_model=32 --set d_k=8 --set d_v=48 --set n_code=16 \
    --set n_layer=1 --set n_vocab=259 --set mem_len=64 --set block_len=64 --set vocab=image64 \
    --set pe_abs=1 --set e_preln=1 --set e_tie=1 --set e_scale=0.1 --seed 5 || fail "no model"
"$tools/random_model" special.safetensors --set d_model=16 --set d_k=4 --set d_v=16 --set n_code=4 \
    --set n_layer=1 --set n_vocab=259 --set mem_len=16 --set block_len=16 --set vocab=image64 \
    --set e_tie=1 --set e_scale=0.1 --seed 5 --special 100 || fail "no model"

# paint OPTIONS...: `sample` with them, unrecorded, listed in ./out as JSON.
paint() {
    want 0 "$program" --no-log --quiet --format json "$@"
}
load='output /dev/null; load paint.safetensors; output'

# info FILE [ROWS]: into ./info
info() {
    "$tools/png_info" "$@" > info || fail "$1 is no picture"
}
has() {
    grep -q "$1" info || fail "$file: expected '$1' in: $(cat info)"
}
pixels() {
    info "$@"
    grep '^pixels' info
}

# One picture each, a contact sheet, and what they say about themselves.
want 0 "$program" --quiet --format json --threads 1 --db runs.db \
    -c "$load; sample -n 3 --seed 5 --out set/"
run=$("$tools/json_pick" run < out | sort -u)
sha=$(sha256sum < paint.safetensors | cut -d' ' -f1)
for i in 0 1 2; do
    file=set/sample-$i.png
    info $file
    has '^size 64 64$'
    has "^note seed $((5 + i))$"
    has "^note model_sha256 $sha$"
    has "^note run $run$"
done
file=set/sheet.png
info $file
has "^note run $run$"
# Two rows of pictures three times as large, 4 pixels around each; what is more are the captions.
high=$(sed -n 's/^size 396 //p' info)
[ "${high:-0}" -ge $((2 * 192 + 12 + 2 * 8)) ] || fail "the sheet has no room for captions: $(head -n 1 info)"
"$tools/json_pick" index tokens seed path text sheet < out > rows
for i in 0 1 2; do
    printf '%d\t12288\t%d\tset/sample-%d.png\tnull\tset/sheet.png\n' $i $((5 + i)) $i
done | diff - rows || fail "the listing is wrong"

# The same seed gives the same file, whatever the threads and however many are painted together.
for threads in 1 2 4; do
    paint --threads $threads -c "$load; sample --seed 6 --out t$threads.png"
    cmp -s t1.png t$threads.png || fail "--threads $threads paints another picture"
    cmp -s t1-sheet.png t$threads-sheet.png || fail "--threads $threads makes another sheet"
done
first=$(pixels t1.png)
[ "$first" = "$(pixels set/sample-1.png)" ] || fail "-n 3 and -n 1 paint different pictures"
[ "$first" != "$(pixels set/sample-0.png)" ] || fail "two seeds paint one picture"

# A picture is gone on with: its rows stay, the rest is painted.
paint --threads 1 -c "$load; sample --seed 9 --prompt-image t1.png --rows 10 --out on.png"
[ "$("$tools/json_pick" tokens < out)" = 10368 ] || fail "10 given rows leave 10368 tokens: $(cat out)"
[ "$(pixels t1.png 10)" = "$(pixels on.png 10)" ] || fail "the given rows were changed"
[ "$(pixels t1.png 11)" != "$(pixels on.png 11)" ] || fail "nothing was painted after them"
file=on.png
has '^note prompt_rows 10$'
head -c 1920 samples/heldout.txt > fed.txt
paint --threads 1 -c "$load
    output /dev/null; feed --file fed.txt; output; sample --seed 9 --continue --out fed.png"
[ "$("$tools/json_pick" tokens < out)" = 10368 ] || fail "fed bytes are not taken as given"
want 1 vqsh --no-log -c "$load; sample --prompt-image t1.png --rows 64 --out all.png"
says '--rows takes a whole number from 0 to 63'
want 1 vqsh --no-log -c "$load; sample --prompt-image samples/heldout.txt --out x.png"
says 'expected a PNG, JPEG'
want 1 vqsh --no-log -c "$load; sample --prompt hello --out x.png"
want 1 vqsh --no-log -c "output /dev/null; load $model; output; sample --prompt-image t1.png"
says 'this model writes'

# Special ids have no pixel: they are never drawn, though this model wants nothing else.
paint --threads 1 -c "output /dev/null; load special.safetensors; output
    sample --seed 1 --out wild.png; sample --temperature 0 --length 600 --out greedy.png"
info wild.png
grey=$(sed -n 's/^grey //p' info)
[ "$grey" -lt 200 ] || fail "$grey bytes were left unpainted: special ids were drawn"
"$tools/json_pick" nats < out | awk '$1 < 600 { exit 1 }' ||
    fail "the model's own probabilities are not those without the mask: $(cat out)"

# Where channels have ids of their own, nothing is drawn but those of the next one: an id of another
# would leave its byte unpainted. From a place inside a pixel, too; and what is fed keeps its colours.
"$tools/random_model" rgb.safetensors --set d_model=16 --set d_k=4 --set d_v=16 --set n_code=4 \
    --set n_layer=1 --set n_vocab=771 --set mem_len=16 --set block_len=16 --set vocab=rgb64 \
    --set e_tie=1 --set e_scale=0.1 --seed 5 --special 100 || fail "no model"
load='output /dev/null; load rgb.safetensors; output'
paint --threads 1 -c "$load; sample -n 2 --seed 1 --out rgb.png; sample --temperature 0 --out rgb0.png
    sample --top-k 3 --top-p 0.9 --seed 4 --prompt-image t1.png --rows 10 --out rgbk.png"
head -c 961 samples/heldout.txt > part1.txt
tail -c +962 samples/heldout.txt | head -c 39 > part2.txt
paint --threads 1 -c "$load; output /dev/null; feed --file part1.txt; feed --file part2.txt; output
    sample --seed 9 --continue --out rgbc.png"
[ "$("$tools/json_pick" tokens < out)" = 11288 ] || fail "1000 fed bytes are not taken as given"
for file in rgb-0.png rgb-1.png rgb0.png rgbk.png rgbc.png; do
    info $file
    grey=$(sed -n 's/^grey //p' info)
    [ "$grey" -lt 200 ] || fail "$file: $grey bytes were left unpainted: other channels were drawn"
done
[ "$(pixels t1.png 10)" = "$(pixels rgbk.png 10)" ] || fail "the rows given to rgb64 were changed"
load='output /dev/null; load paint.safetensors; output'

# --file takes every format that data sets do; what is named like a picture is not read as bytes.
pixel() {
    awk 'BEGIN { for (i = 0; i < 12288; i++) printf "%c", 65 + i % 12 }'
}
{ printf 'P6\n64 64\n255\n' && pixel; } > steps.ppm
pixel > steps.raw
{
    printf 'BM\066\060\000\000\000\000\000\000\066\000\000\000\050\000\000\000\100\000\000\000'
    printf '\100\000\000\000\001\000\030\000\000\000\000\000\000\000\000\000\000\000\000\000'
    printf '\000\000\000\000\000\000\000\000\000\000\000\000'
    pixel
} > steps.bmp
printf 'RIFF\001\001\001\001WEBPVP8 ' > steps.webp
echo text > words.png
for f in steps.ppm steps.raw; do
    want 0 vqsh --no-log --format json -c "$load; score --file $f"
    "$tools/json_pick" tokens nats < out > $f.score
done
grep -q '^12288' steps.ppm.score || fail "a PPM gave $(cat steps.ppm.score)"
cmp -s steps.ppm.score steps.raw.score || fail "a PPM's pixels are not its bytes"
want 0 vqsh --no-log --format json -c "$load; codes --file steps.bmp"
[ "$("$tools/json_pick" position < out | tail -n 1)" = 12288 ] || fail "a BMP was read as bytes"
mkdir folder
cp steps.ppm folder/
want 0 vqsh --no-log --format json -c "$load; codebook 0.1 --over folder"
[ "$("$tools/json_pick" count_mean < out)" = 768 ] || fail "a folder's PPM was passed over: $(cat out)"
want 1 vqsh --no-log -c "$load; score --file words.png" && says 'found a text file'
want 1 vqsh --no-log -c "$load; score --file steps.webp" && says 'found a RIFF file'

# An interrupt keeps what was painted.
"$program" --quiet --threads 1 --db runs.db --format json \
    -c "$load; sample -n 48 --seed 1 --out half-.png" > out 2> err &
pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.1
    [ -s runs.db-wal ] || [ -s runs.db ] && break
done
sleep 0.4
kill -INT $pid
wait $pid
found=$?
[ $found = 130 ] || fail "interrupted: expected exit status 130, found $found: $(cat err)"
info half--47.png
[ "$(sed -n 's/^grey //p' info)" -gt 200 ] || fail "the picture was whole before the interrupt"
want 0 vqsh --db runs.db --format json -c 'run -1'
[ "$("$tools/json_pick" status < out)" = interrupted ] || fail "the run is not marked: $(cat out)"

# Where the system has no font charts still have letters: an SVG draws each kind of letter once and
# uses it wherever it stands.
echo '<?xml version="1.0"?><fontconfig><cachedir>fonts</cachedir></fontconfig>' > no-fonts.conf
want 0 env FONTCONFIG_FILE="$work/no-fonts.conf" "$program" --no-log --quiet \
    -c "$load; plot usage --out bare.svg"
[ "$(grep -c '<use ' bare.svg)" -ge 20 ] || fail "without fonts a chart has no letters"
grep -q '^count$' bare.svg || fail "without fonts a chart does not say what it shows"

exit $status
