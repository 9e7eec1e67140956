#!/bin/sh
# Fetches Noto Emoji 16 (Apache-2.0) as PNGs of 64x64 and parts them: FOLDER/train and
# FOLDER/validation. Pictures with a skin tone are left out: they would fill half of the set with
# near copies. Validation has every tenth of the sorted first code points of all names, so that a
# picture and its variants (a flag, a hair colour) are on the same side.
# FOLDER-faces16 and FOLDER-faces64 are the same with each of the 99 faces of the train part 16 and
# 64 times, for what most people mean by emoji is a face. Their validation parts are the same.
#   usage: get-emoji.sh FOLDER     needs: npm
set -eu
LC_ALL=C
export LC_ALL
mkdir -p "${1:?FOLDER}/train" "$1/validation"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm pack --silent emoji-datasource-google@16.0.0 >/dev/null
tar xzf emoji-datasource-google-16.0.0.tgz --strip-components=4 package/img/google/64
ls ./*.png | sed 's|^\./||; s|\.png$||; s|-.*||' | sort -u | awk 'NR % 10 == 1' >held-out
for picture in *.png; do
    name=${picture%.png}
    case -$name- in *-1f3f[b-f]-*) continue ;; esac
    part=train
    ! grep -qx "${name%%-*}" held-out || part=validation
    cp "$picture" "$out/$part/"
done
ls "$out/train" | wc -l
ls "$out/validation" | wc -l

faces='^(1f6[0-2][0-9a-f]|1f63[0-7]|1f64[1-4]|1f91[0-7]|1f92[0-5789a-f]|1f97[0-69a]|1fae[0-9]|2639|263a)'
ls "$out/train" | grep -E "$faces" >faces
for times in 16 64; do
    mkdir -p "$out-faces$times"
    cp -R "$out/train" "$out/validation" "$out-faces$times/"
    cd "$out-faces$times/train"
    while read -r picture; do
        for i in $(seq 2 "$times"); do
            ln -f "$picture" "${picture%.png}-copy$i.png"
        done
    done <"$work/faces"
    ls | wc -l
done
