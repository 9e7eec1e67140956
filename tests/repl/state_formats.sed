# The size of a state in memory and of weights depends on the machine's kernels.
s/^(bytes|memory[a-z_]*)\t[1-9].*/\1\tBYTES/
