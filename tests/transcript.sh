#!/bin/sh
# A shell transcript: runs the commands of NAME.cmd in batch, in a folder of its own that holds
# links to samples/ and tests/, and compares stdout with NAME.out, stderr with NAME.err (absent:
# must be empty) and the exit status with NAME.exit (absent: 0). A first line "#! OPTIONS" in
# NAME.cmd gives options to the program. tests/repl/all.sed makes times, rates and ids uniform and
# cuts numbers to what any machine computes; NAME.sed, where it exists, does more. UPDATE=1 rewrites
# the expected files.
set -eu
cmd=$1
base=${cmd%.cmd}
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$root/samples" "$root/tests" "$work/"
mkdir "$work/home"
export HOME="$work/home"

options=$(sed -n '1s/^#! //p' "$cmd")
code=0
# shellcheck disable=SC2086
(cd "$work" && eval "\"$root/vqsh\" --threads 1 $options" < "$root/$cmd" > out 2> err) || code=$?

filter() {
    sed "s|$work/||g; s|$work|.|g" "$1" | sed -E -f "${base%/*}/all.sed" |
        if [ -f "$base.sed" ]; then sed -E -f "$base.sed"; else cat; fi
}
filter "$work/out" > "$work/out.seen"
filter "$work/err" > "$work/err.seen"

if [ -n "${UPDATE:-}" ]; then
    cp "$work/out.seen" "$base.out"
    if [ -s "$work/err.seen" ]; then cp "$work/err.seen" "$base.err"; else rm -f "$base.err"; fi
    if [ "$code" = 0 ]; then rm -f "$base.exit"; else echo "$code" > "$base.exit"; fi
    exit 0
fi

status=0
want=0
[ ! -f "$base.exit" ] || want=$(cat "$base.exit")
[ "$code" = "$want" ] || { echo "exit status: expected $want, found $code"; status=1; }
diff -u "$base.out" "$work/out.seen" || status=1
if [ -f "$base.err" ]; then
    diff -u "$base.err" "$work/err.seen" || status=1
else
    diff -u /dev/null "$work/err.seen" || status=1
fi
exit $status
