#!/bin/sh
# Fetches Noto Emoji 16 (Apache-2.0) as PNGs of 64x64 and parts them: FOLDER/train and
# FOLDER/validation. Pictures with a skin tone are left out: they would fill half of the set with
# near copies. Validation has every tenth of the sorted first code points of all names, so that a
# picture and its variants (a flag, a hair colour) are on the same side.
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
