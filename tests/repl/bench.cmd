#! --quiet --keep-going
bench other
bench train --preset nothing
bench train --preset text-tiny --updates 0
bench train --preset text-tiny --set block_len=60
bench paper --preset text-tiny --length 100
bench paper --preset text-tiny --length 128 --length 64
bench paper --preset text-tiny --quick --out /nowhere/x.png
