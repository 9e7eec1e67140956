#! --keep-going
report a.html
load samples/models/text-small.safetensors --as small
report
report a.html --run zzz
report a.html --where 'command=nothing'
report a.html --where 'this is no filter ('
report a.html --run -1 --over README.md
report nothing/a.html
report a.html --over nothing
set format html
models
set format auto
score --text 'a<b'
!for f in *.html; do test -e $f || echo none; done
