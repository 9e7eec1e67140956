#! --keep-going
# The system shell: the line as it stands, to its end.
!echo one; echo "two;" 'three' # four
 !  echo five
!exit 3
!kill -9 $$
!nothing-of-that-name
show seed; !echo six
history
history 3
history -1
history x
timing
timing on
timing off
timing maybe
timing on off
complete "sho"
complete "set fo"
complete "help ti"
source nothing
source
source samples
quit x
set seed | head
set seed "|" head
quit 256
quit -1
quit 1 2
quit 7
show seed
