#! --keep-going
load samples/models/text-small.safetensors --as small
plot usage --out a.png
plot usage 0.1 --sorted --log --out a.png --width 400 --height 300
plot similarity 1.1 --out a.png --order code --colormap gray
plot next --out a.png
plot attn --out a.png
feed --file tests/data/prose.txt
plot cache --out a.png
plot cache 2 --log --out a.png
plot attn 2.1 --out a.png
plot attn 2.1 --pos 200 --out a.png
plot next --out a.png -k 5
plot usage --seen --out a.png
score --text abc
plot metric --run -1 --metric loss --out a.png
plot metric --out a.png
plot metric --run nothing --metric loss --out a.png
plot
plot usage
plot pie --out a.png
plot usage 9 --out a.png
plot similarity all --out a.png
plot usage --out nothing/a.png
plot usage --out a.png --width 10
plot usage --out a.png --colormap rainbow
plot cache --row 1 --out a.png
plot attn --row 1 --out a.png
!ls *.png
!echo SVG
plot usage --out a.svg
!grep -c '<image' a.svg
!sed -n '/<metadata>/,/^code$/p' a.svg | grep -v -e '^[0-9]' -e '^model_sha256'
plot usage --out b.SVG --width 400 --height 300
!ls *.svg *.SVG
plot usage --out a.jpg
plot usage --out svg
