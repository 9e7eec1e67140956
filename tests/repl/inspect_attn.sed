# What is nearly one, or nearly nothing, is told by its rounding.
s/\b(0\.9999|1\.000)\b/ONE/g
s/[0-9.]+e-[0-9]+/TINY/g
