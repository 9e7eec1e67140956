#! --keep-going
output out.txt
show seed
set format json
show seed
output
show timing
set format auto
!cat out.txt
# The file is emptied first; an old one that cannot be opened leaves results where they go.
output out.txt
show threads
output nothing/out.txt
show width
output
!cat out.txt
output /dev/full
show seed
output
show seed
output a b
