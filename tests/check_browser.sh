#!/bin/sh
# Pages of `report` in a browser: headless Chromium, where it is installed (it is large, so packages.txt
# does not name it), opens them, sorts tables, follows links, makes a picture and prints.
# `make test-browser` runs this alone.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
browser=$(command -v chromium || command -v chromium-browser)
if [ -z "$browser" ]; then
    echo "skipped: Chromium is not installed (Debian: apt-get install chromium)"
    exit 0
fi

browse() {
    rm -rf "$work/profile"
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/profile" --hide-scrollbars "$@" 2> chromium.err ||
        fail "Chromium: $(tail -n 3 chromium.err)"
}

# with PAGE SCRIPT: the page as it is after running SCRIPT in it, in ./dom; console errors fail.
with() {
    sed "s|</body>|<script>$2</script></body>|" "$1" > hooked.html
    browse --enable-logging=stderr --dump-dom "file://$work/hooked.html" > dom
    ! grep 'CONSOLE' chromium.err || fail "$1: the console said something"
}

# click NAME: script that clicks the heading NAME of the first table that has it, by its button.
click() {
    echo "for(const b of document.querySelectorAll('th button'))if(b.textContent==='$1'){b.click();break}"
}

# order: the first cells of the rows of the first table that is sorted in ./dom.
order() {
    tr -d '\n' < dom | sed 's|<table|\n<table|g' | grep 'aria-sort="[ad][^"]*ending"' | head -n 1 |
        sed 's|</table>.*||; s|<tr>|\n<tr>|g' | sed -n 's|^<tr><td[^>]*>\(<a[^>]*>\)\{0,1\}\([^<]*\)<.*|\2|p'
}

load="output /dev/null; load $model; output"
want 0 vqsh --db runs.db --quiet -c "$load; sample --length 30 --seed 1; report model.html"

# A table sorts upwards at the first click and downwards at the second, by full values.
want 0 vqsh --no-log --quiet --format csv -c "$load; codebook"
tail -n +2 out | sort -t , -k 7 -g | cut -d , -f 1 > expected
with model.html "$(click perplexity)"
order | cmp -s - expected || fail "upwards by perplexity: $(order | tr '\n' ' ')"
with model.html "$(click perplexity);$(click perplexity)"
order | cmp -s - expected && fail "a second click does not turn the order"
order | sort -g | cmp -s - expected || [ "$(order | wc -l)" = "$(wc -l < expected)" ] || fail "rows are lost"
# A key is as good: what the button gets from Enter is a click, and it can be reached.
with model.html "const b=document.querySelector('th button');b.focus();document.title=document.activeElement===b?'reached':'lost'"
grep -q '<title>reached</title>' dom || fail "headings cannot be reached by keys"

# What has no finite number comes last, both ways; whole numbers of any size keep apart.
cat > strange.jsonl << END
{"id":"00000000a1","command":"train","status":"finished","started_at":1,"ended_at":2,"results":{"loss":{"real":"NaN"},"steps":9007199254740993}}
{"id":"00000000a2","command":"train","status":"finished","started_at":2,"ended_at":3,"results":{"loss":10,"steps":9007199254740992}}
{"id":"00000000a3","command":"train","status":"finished","started_at":3,"ended_at":4,"results":{"loss":9,"steps":9007199254740994}}
{"id":"00000000a4","command":"train","status":"finished","started_at":4,"ended_at":5,"results":{"loss":{"real":"-Infinity"}}}
END
want 0 vqsh --db strange.db --quiet -c 'import strange.jsonl; report strange.html --where command=train'
sorted() {
    with strange.html "$1"
    [ "$(order | tr '\n' ' ')" = "$2" ] || fail "sorted: expected $2, found $(order | tr '\n' ' ')"
}
sorted "$(click loss)" '00000000a3 00000000a2 00000000a4 00000000a1 '
sorted "$(click loss);$(click loss)" '00000000a2 00000000a3 00000000a4 00000000a1 '
sorted "$(click steps)" '00000000a2 00000000a1 00000000a3 00000000a4 '

# A link opens what it leads to.
with strange.html "location.hash='#run-00000000a2';addEventListener('hashchange',()=>{document.title=document.getElementById('run-00000000a2').open})"
grep -q '<title>true</title>' dom || fail "a link leads to something folded"

# A picture of it, wide and narrow: not blank, nothing wider than the window.
for width in 1200 500; do
    browse --window-size=$width,1600 --screenshot=page.png "file://$work/model.html"
    "$tools/png_info" page.png > info || fail "Chromium made no picture"
    grep -q "^size $width 1600" info || fail "the picture: $(head -n 3 info)"
    [ "$(wc -c < page.png)" -gt 30000 ] || fail "the picture is blank"
    sed "s|</body>|<script>document.title=document.documentElement.scrollWidth</script></body>|" \
        model.html > hooked.html
    browse --window-size=$width,1600 --dump-dom "file://$work/hooked.html" > dom
    found=$(sed -n 's|.*<title>\(.*\)</title>.*|\1|p' dom)
    [ "$found" -le $width ] || fail "at $width pixels the page is $found wide"
done

# On paper: several pages, with what is folded on the screen.
browse --no-pdf-header-footer --print-to-pdf=page.pdf "file://$work/model.html"
[ "$(wc -c < page.pdf)" -gt 50000 ] || fail "Chromium printed nothing"
if command -v pdftotext > /dev/null; then
    pdftotext page.pdf page.txt
    grep -q 'transformer_layers_2/scanned_attn2' page.txt || fail "what is folded is not on paper"
    [ "$(grep -c "$(printf '\f')" page.txt)" -ge 4 ] || fail "it is one page"
fi

exit $status
