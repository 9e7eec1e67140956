# Pages name the machine and the folder.
s/^(bytes\t)[0-9]+/\1BYTES/
