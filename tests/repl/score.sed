# The size of a state in memory depends on the machine's kernels.
s/^bytes\t[1-9].*/bytes\tBYTES/
s/^(early|late)\t([0-9]+)\t([0-9]+)\t[0-9]+/\1\t\2\t\3\tBYTES/
