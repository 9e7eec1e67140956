#! --quiet --keep-going
bench other
bench train --preset nothing
bench train --preset text-tiny --updates 0
bench train --preset text-tiny --set block_len=60
