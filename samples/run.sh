#!/bin/sh
# Opens the shell on the shipped model; without a terminal plays the tour instead.
set -eu
cd "$(dirname "$0")/.."
model=samples/models/text-small.safetensors
if [ -t 0 ] && [ -t 1 ]; then
    exec ./vqsh --load "$model"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
./vqsh --db "$work/runs.db" --format table samples/tour.vqsh
