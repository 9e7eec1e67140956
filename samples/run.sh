#!/bin/sh
# Opens the shell on the shipped models; without a terminal plays the tour instead.
set -eu
cd "$(dirname "$0")/.."
if [ -t 0 ] && [ -t 1 ]; then
    exec ./vqsh --load samples/models/emoji.safetensors --load samples/models/prose.safetensors
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$PWD/samples" "$work/samples"
program=$PWD/vqsh
cd "$work"
"$program" --db runs.db --format table samples/tour.vqsh
