#!/bin/sh
# Pages: they are well-formed, need nothing else, hold the numbers that commands give, and nothing in
# them that came from outside becomes markup. check_browser.sh opens them.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
load="output /dev/null; load $model; output"

command -v xmllint > /dev/null || fail "xmllint is not installed: packages.txt names libxml2-utils"
xpath() {
    xmllint --nonet --xpath "$2" "$1" 2> /dev/null
}

# count PAGE NODES: how many there are.
count() {
    xpath "$1" "count($2)"
}

# sound PAGE: well-formed, and it fetches nothing.
sound() {
    xmllint --nonet --noout "$1" 2> faults || fail "$1 is not well-formed: $(head -n 3 faults)"
    xpath "$1" 'string(//meta[@http-equiv]/@content)' | grep -q "^default-src 'none'; img-src data:" ||
        fail "$1: no policy"
    [ "$(count "$1" '//@src[not(starts-with(.,"data:image/"))] | //@*[local-name()="href"]
        [not(starts-with(.,"#") or starts-with(.,"data:image/png"))] | //link | //iframe | //object | //base | //@srcset')" = 0 ] ||
        fail "$1 refers to something outside"
    ! xpath "$1" 'string(//style)' | grep -q 'url(\|@import' || fail "$1: its style loads something"
    [ "$(count "$1" //script)" = 1 ] || fail "$1: there is not one script"
    [ "$(count "$1" '//@*[starts-with(name(),"on")]')" = 0 ] || fail "$1: an attribute is a script"
    xpath "$1" '//@id' | sort | uniq -d > twice
    [ ! -s twice ] || fail "$1: two elements have one id: $(cat twice)"
    for id in $(xpath "$1" '//a/@href' | sed 's/ href="#//; s/"//g'); do
        [ "$(count "$1" "//*[@id='$id']")" = 1 ] || fail "$1: nothing has the id $id"
    done
}

# column PAGE SECTION NAME: the full values of a column of the first table of a section.
column() {
    at=$(count "$1" "(//section[@id='$2']//table)[1]//th[.='$3']/preceding-sibling::th")
    xpath "$1" "(//section[@id='$2']//table)[1]/tbody/tr/td[$at + 1]/@data-v" |
        sed 's/ data-v="//; s/"//g'
}

# ---- a model, with runs whose names and texts are hostile
evil='</td></script><script>alert(1)</script>]]>"&'
printf '%s' "$evil" > evil.txt
want 0 vqsh --db runs.db --quiet -c "$load; score --file evil.txt"
want 0 vqsh --db runs.db --quiet -c "$load; sample -n 2 --prompt '$evil' --length 40 --seed 3"
want 0 vqsh --db runs.db --quiet -c "name -1 '$evil'; tag -1 'a<b>'; note -1 '$evil'"
want 0 vqsh --db runs.db --quiet --format json \
    -c "$load; report model.html --over samples/heldout.txt --bytes 600 --title 'A & B <i>'"
[ "$("$tools/json_pick" bytes < out)" = "$(wc -c < model.html)" ] || fail "bytes: $(cat out)"
[ "$("$tools/json_pick" runs < out)" = 2 ] || fail "runs of the model: $(cat out)"
sound model.html
[ "$(xpath model.html 'string(//title)')" = 'A & B <i>' ] || fail "the title is not there"
[ "$(count model.html "//td[.='$evil']")" -ge 1 ] || fail "the run's name is not there as it was"
xpath model.html 'string(//section[@id="reading"]/p)' | grep -q 'first 600 of 8192 bytes of samples' ||
    fail "it is not said that a part of the text was read"

# Its numbers are those of the commands, to the last digit.
want 0 vqsh --no-log --quiet --format json -c "$load; codebook"
for name in used dead entropy perplexity count_min count_max sim_max dist_min gini; do
    "$tools/json_pick" $name < out > expected
    column model.html codebooks $name | cmp -s - expected || fail "codebook: $name is another"
done
want 0 vqsh --no-log --quiet --format json -c "$load; info"
for name in d_model c_gamma lr_max vocab; do
    [ "$("$tools/json_pick" config.$name < out)" = "$(xpath model.html \
        "string(//section[@id='configuration']//tr[td[1]='$name']/td[2])")" ] ||
        fail "configuration: $name is another"
    [ "$("$tools/json_pick" from.$name < out)" = "$(xpath model.html \
        "string(//section[@id='configuration']//tr[td[1]='$name']/td[3])")" ] ||
        fail "configuration: the origin of $name is another"
done
head -c 600 samples/heldout.txt > part.txt
want 0 vqsh --no-log --quiet --format json -c "$load; codebook 0.1 --over part.txt; score --file part.txt"
"$tools/json_pick" used < out | head -n 1 > expected
column model.html meanings code | wc -l | cmp -s - expected || fail "there are other codes in use"
[ "$(xpath model.html 'sum(//section[@id="meanings"]/details[1]//tr/td[2]/@data-v)')" = 600 ] ||
    fail "codes: the counts do not sum to the tokens"
"$tools/json_pick" bits_per_byte < out | tail -n 1 | awk '{printf "%.4f\n", $1}' > expected
xpath model.html 'string(//section[@id="reading"]//div[dt="bits per byte"]/dd)' | cmp -s - expected ||
    fail "bits per byte are others"
xpath model.html 'string(//section[@id="reading"]//pre)' | head -c 600 | cmp -s - part.txt ||
    fail "the text in colours is another"

# Of some modules, and of a text that is given.
want 0 vqsh --no-log --quiet -c "$load; report some.html --modules 0.1,2.2 --text '$evil'"
sound some.html
[ "$(column some.html codebooks head | wc -l)" = 2 ] || fail "--modules: not two rows"
[ "$(xpath some.html 'string(//section[@id="reading"]//pre)')" = "$evil" ] || fail "--text is another"
! grep -q proc/self some.html || fail "the page tells where the text was held"

# ---- runs: what differs, curves, texts
text=tests/data/prose.txt
for rate in 0.001 0.002; do
    want 0 vqsh --db runs.db --quiet -c "train --out m$rate --preset text-tiny --data $text \
        --set global_batch_size=1 --set sequence_len=256 --set lr_max=$rate --steps 3 --seed 1"
done
want 0 vqsh --db runs.db --quiet --format json -c "report runs.html --run -3 --where command=train"
[ "$("$tools/json_pick" sections runs < out)" = "5	3" ] || fail "sections: $(cat out)"
sound runs.html
[ "$(count runs.html "//summary[contains(.,'$evil')]")" = 1 ] || fail "the run's name is not there"
xpath runs.html '//section[@id="differences"]//td[.="config.lr_max"]/following-sibling::td/@data-v' |
    tr -d '\n' | grep -q 'data-v="0.00[12]" *data-v="0.00[12]"' || fail "what differs is not there"
[ "$(count runs.html '//section[@id="curves"]//figure[contains(., "loss")]')" -ge 1 ] ||
    fail "there is no curve"
want 0 vqsh --db runs.db --quiet -c "report trained.html --where command=train --sort -loss --details 1"
want 0 vqsh --db runs.db --quiet --format json -c "runs command=train --sort -loss"
for name in loss bits_per_byte tokens_per_second; do
    "$tools/json_pick" results.$name < out > expected
    column trained.html runs $name | cmp -s - expected || fail "runs: $name is another"
done
# Charts are drawings that scale, and what their letters say can be found.
for page in model trained; do
    charts=$(count $page.html '//figure[@class="chart"]')
    [ "$charts" -ge 2 ] && [ "$(count $page.html \
        '//figure[@class="chart"]/div[@aria-label!=""]/*[local-name()="svg"][@viewBox]')" = "$charts" ] ||
        fail "$page.html: not all of $charts charts are SVG"
done
[ "$(count trained.html '//section[@id="curves"]//*[local-name()="text"][.="step"]')" -ge 1 ] ||
    fail "a chart does not say what its axis is"
# Letters are text, and pixels those of the data: a page can be sent by mail.
want 0 vqsh --no-log --quiet -c 'load samples/models/prose.safetensors; report prose.html'
[ "$(wc -c < prose.html)" -lt 300000 ] || fail "a page of 15 charts has $(wc -c < prose.html) bytes"
[ "$(count trained.html '//details[@class="leaf"]')" = 1 ] || fail "--details 1 is not one"
grep -q 'The first 1 of 2 runs' trained.html || fail "runs are left out in silence"

# ---- runs from elsewhere: any bytes, any number
cat > strange.jsonl << END
{"id":"00000000a1","command":"train","status":"finished","started_at":1,"ended_at":2,"seed":18446744073709551615,"name":"<b>&amp;\u0001\u202e","model_name":"\"' onload=x","results":{"loss":{"real":"NaN"},"bits_per_byte":{"real":"Infinity"},"steps":9007199254740993}}
{"id":"00000000a2","command":"train","status":"failed","error":"<script>","started_at":3,"ended_at":null,"seed":null,"results":{"loss":0.1,"bits_per_byte":{"real":"-Infinity"},"steps":9007199254740992,"<i>":1}}
END
printf 'run,index,seed,tokens,nats,path,text\n00000000a1,0,1,3,1.5,,"a\000b\377\355\240\200\033[1m]]>\r\n</pre>\357\277\277"\n' \
    > samples.csv
want 0 vqsh --db strange.db --quiet -c 'import strange.jsonl; import samples.csv'
want 0 vqsh --db strange.db --quiet -c 'report strange.html --where command=train'
sound strange.html
column strange.html runs loss | tr '\n' ' ' > found
column strange.html runs bits_per_byte | tr '\n' ' ' >> found
column strange.html runs steps | tr '\n' ' ' >> found
column strange.html runs seed | tr '\n' ' ' >> found
[ "$(cat found)" = '0.1 NaN -Infinity Infinity 9007199254740992 9007199254740993 18446744073709551615 ' ] ||
    fail "numbers of other runs: $(cat found)"
xpath strange.html 'string(//pre)' > text
printf 'a\\x00b\357\277\275\357\277\275\357\277\275\357\277\275\\x1b[1m]]>\\r\n</pre>\\uffff\n' | cmp - text ||
    fail "a sample's bytes became: $(od -c text | head -n 5)"

# ---- refusals leave no file, and what was there stays
want 1 vqsh --no-log -c "report no.html" && says 'no model is loaded'
want 1 vqsh --db runs.db -c "report no.html --where command=nothing" && says 'no run passes'
want 1 vqsh --db runs.db -c "report no.html --where 'loss<'"
want 1 vqsh --db runs.db -c "report no.html --where command=train --sort nonsense"
want 1 vqsh --db runs.db -c "report no.html --run zzz"
want 1 vqsh --no-log -c "$load; report no.html --over nothing.txt" && says 'report: nothing.txt'
want 1 vqsh --db runs.db -c "report no.html --run -1 --over $text" && says 'a page about a model'
want 1 vqsh --no-log -c "$load; report no.html --details 3" && says 'goes with --run'
want 1 vqsh --no-log -c "$load; report no.html --over $text --text x" && says 'not both'
want 1 vqsh --no-log -c "$load; report nowhere/no.html" && says 'nowhere/no.html'
[ ! -e no.html ] || fail "a report that failed left a file"
echo old > old.html
want 1 vqsh --no-log -c "$load; report old.html --over nothing.txt"
[ "$(cat old.html)" = old ] || fail "a report that failed changed the old one"
[ "$(find . -name '*.html?*' | wc -l)" = 0 ] || fail "files are left: $(ls ./*.html?*)"

# ---- pictures are in the page
"$tools/random_model" paint.safetensors --set d_model=16 --set d_k=4 --set d_v=16 --set n_code=4 \
    --set n_layer=1 --set n_vocab=259 --set mem_len=16 --set block_len=16 --set vocab=image64 \
    --set e_tie=1 --set e_scale=0.1 --seed 5 || fail "no model"
mkdir pic
want 0 vqsh --db runs.db --quiet -c "load paint.safetensors; sample -n 2 --seed 5 --out pic/
    report paint.html --over pic/sample-0.png"
sound paint.html
xpath paint.html 'string((//div[@class="pictures"]//img)[2]/@src)' | sed 's/^data:image.png;base64,//' |
    base64 -d | cmp - pic/sample-1.png || fail "the picture in the page is another"
rm pic/sample-1.png
echo text > pic/sample-0.png
want 0 vqsh --db runs.db --quiet -c "report gone.html --run -1"
sound gone.html
grep -q '(gone: .*sample-1.png)' gone.html || fail "a picture that is gone is not said to be"
grep -q '(no PNG file: .*sample-0.png)' gone.html || fail "a file that is no picture is not said to be"

exit $status
