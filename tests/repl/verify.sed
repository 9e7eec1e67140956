s/^(max_.*_error)\t.*/\1\tSMALL/
s/^(code_mismatches)\t[1-9].*/\1\tSOME/
