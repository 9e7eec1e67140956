#! --keep-going
report a.html
load samples/models/text-small.safetensors --as small
report
report a.html --run zzz
report a.html --where 'command=nothing'
report a.html --where 'this is no filter ('
report a.html --where 'loss<1 and nonsense=2'
report a.html --run -1 --over README.md
report a.html --curves 3
report a.html --text x --over README.md
report a.html --modules 9.1
report a.html --run -1 --sort x
report nothing/a.html
report a.html --over nothing
set format html
models
set format auto
score --text 'a<b'
!for f in *.html; do test -e $f || echo none; done
report b.html --run -1
!test -s b.html && echo written
report b.html --run -1 --title ''
