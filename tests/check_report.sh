#!/bin/sh
# Pages: they need nothing else, hold the numbers that commands give, and nothing in them that came
# from outside becomes markup. Where Chromium is installed it opens them, sorts a table and prints.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
load="output /dev/null; load $model; output"

# balanced PAGE: every element that must be closed is, as often as it is opened.
balanced() {
    for tag in html head body header nav main section table thead tbody tr th td figure details \
        summary pre div script style ul li p h1 h2 h3; do
        opened=$(grep -o "<$tag[ >]" "$1" | wc -l)
        closed=$(grep -o "</$tag>" "$1" | wc -l)
        [ "$opened" = "$closed" ] || fail "$1: $opened <$tag>, $closed </$tag>"
    done
}

# alone PAGE: it fetches nothing.
alone() {
    grep -q "Content-Security-Policy\" content=\"default-src 'none'" "$1" || fail "$1: no policy"
    ! grep -E -o '(src|href)="[^"]{0,40}' "$1" | grep -v -E '"(data:image/png;base64,|#s[0-9]+$)' ||
        fail "$1: it refers to something outside"
    ! grep -q -E '@import|url\(|<link|<iframe' "$1" || fail "$1: it loads something"
}

# ---- a model, with runs whose names and texts are hostile
evil='</td></script><script>alert(1)</script>"&'
printf '%s' "$evil" > evil.txt
want 0 vqsh --db runs.db --quiet -c "$load; score --file evil.txt"
want 0 vqsh --db runs.db --quiet -c "$load; sample -n 2 --prompt '$evil' --length 40 --seed 3"
want 0 vqsh --db runs.db --quiet -c "name -1 '$evil'; tag -1 'a<b>'; note -1 '$evil'"
want 0 vqsh --db runs.db --quiet --format json \
    -c "$load; report model.html --over samples/heldout.txt --title 'A & B <i>'"
[ "$("$tools/json_pick" bytes < out)" = "$(wc -c < model.html)" ] || fail "bytes: $(cat out)"
balanced model.html
alone model.html
grep -q '<title>A &amp; B &lt;i&gt;</title>' model.html || fail "the title is not there, or raw"
! grep -q '<script>alert' model.html || fail "a run's name became a script"
[ "$(grep -c '<script>' model.html)" = 1 ] || fail "there is not one script"

want 0 vqsh --no-log --quiet --format json -c "$load; codebook 2.2"
perplexity=$("$tools/json_pick" perplexity < out)
grep -q "data-v=\"$perplexity\"" model.html || fail "perplexity $perplexity is not in the page"

# ---- runs: what differs, curves, texts
text=tests/data/prose.txt
for rate in 0.001 0.002; do
    want 0 vqsh --db runs.db --quiet -c "train --out m$rate --preset text-tiny --data $text \
        --set global_batch_size=1 --set sequence_len=256 --set lr_max=$rate --steps 3 --seed 1"
done
want 0 vqsh --db runs.db --quiet --format json -c "report runs.html --run -3 --where command=train"
[ "$("$tools/json_pick" sections < out)" = 6 ] || fail "sections: $(cat out)"
balanced runs.html
alone runs.html
! grep -q '<script>alert' runs.html || fail "a sample's text became a script"
grep -q 'lr_max' runs.html || fail "what differs is not there"
grep -q 'alt="loss of 2 runs' runs.html ||
    fail "there is no curve of both"

# ---- refusals leave no file
want 1 vqsh --no-log -c "report no.html" && says 'no model is loaded'
want 1 vqsh --db runs.db -c "report no.html --where command=nothing" && says 'no run passes'
want 1 vqsh --db runs.db -c "report no.html --run zzz"
want 1 vqsh --no-log -c "$load; report no.html --over nothing.txt" && says 'nothing.txt'
want 1 vqsh --db runs.db -c "report no.html --run -1 --over $text" && says 'looks at no file'
want 1 vqsh --no-log -c "$load; report nowhere/no.html" && says 'nowhere/no.html'
[ ! -e no.html ] || fail "a report that failed left a file"

# ---- pictures are in the page
"$tools/random_model" paint.safetensors --set d_model=16 --set d_k=4 --set d_v=16 --set n_code=4 \
    --set n_layer=1 --set n_vocab=259 --set mem_len=16 --set block_len=16 --set vocab=image64 \
    --set e_tie=1 --set e_scale=0.1 --seed 5 || fail "no model"
mkdir pic
want 0 vqsh --db runs.db --quiet -c "load paint.safetensors; sample -n 2 --seed 5 --out pic/
    report paint.html --over pic/sample-0.png"
balanced paint.html
grep -q 'sample 1, seed 6' paint.html || fail "the pictures are not in the page"
rm pic/sample-1.png
want 0 vqsh --db runs.db --quiet -c "report gone.html --run -1"
grep -q '(gone: .*sample-1.png)' gone.html || fail "a picture that is gone is not said to be"

# ---- a browser
browser=$(command -v chromium || command -v chromium-browser)
if [ -z "$browser" ]; then
    echo "Chromium is not installed: pages were not opened"
    exit $status
fi
browse() {
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/chromium" "$@" 2> chromium.err
}
# Once for larger, then for smaller values of the column `perplexity` of the codebooks.
sed 's|</body>|<script>for(const h of document.querySelectorAll("th"))if(h.textContent==="perplexity"){h.click();h.click();break}</script></body>|' \
    model.html > sorted.html
browse --dump-dom "file://$work/sorted.html" > dom.html || fail "Chromium: $(tail -n 3 chromium.err)"
tr -d '\n' < dom.html | sed 's|<table|\n<table|g' | grep 'aria-sort="descending"' |
    sed 's|</table>.*||; s|<tr>|\n<tr>|g' | sed -n 's|^<tr><td>\([0-9.]*\)</td>.*|\1|p' > order
want 0 vqsh --no-log --quiet --format csv -c "$load; codebook"
tail -n +2 out | sort -t , -k 7 -g -r | cut -d , -f 1 > expected
cmp -s order expected || fail "sorted by perplexity: $(tr '\n' ' ' < order)"
browse --hide-scrollbars --window-size=1000,2000 --screenshot=page.png "file://$work/model.html"
"$tools/png_info" page.png > info || fail "Chromium made no picture"
grep -q '^size 1000 2000\|1000.*2000' info || fail "the picture: $(head -n 3 info)"
browse --print-to-pdf=page.pdf "file://$work/model.html"
[ "$(wc -c < page.pdf)" -gt 50000 ] || fail "Chromium printed nothing"

exit $status
