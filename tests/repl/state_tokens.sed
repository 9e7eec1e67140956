# The size of a state in memory depends on the machine's kernels.
s/^bytes\t[1-9].*/bytes\tBYTES/
# Small differences of large sums.
s/^kl\t.*/kl\tSMALL/
s/^(110\tk)\t.*/\1\t.../
