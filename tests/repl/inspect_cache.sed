# Differences of nearly equal numbers are rounding.
s/-?[0-9.]+e-[0-9]+/TINY/g
