s/^(max_.*_error|bits_per_token_change)\t-?[0-9.]+e-[01][0-9]$/\1\tSMALL/
