s/^(max_.*_error)\t.*/\1\tSMALL/
s/^(code_mismatches)\t[1-9].*/\1\tSOME/
# What rounding costs differs by machine in its last digits; below a hundredth of a bit it is none.
s/^(bits_per_token_change)\t-?(0|[0-9.]+e-[0-9]+|0\.00[0-9]*)$/\1\tSMALL/
