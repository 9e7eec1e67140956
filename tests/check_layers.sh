#!/bin/sh
# The layers point one way: repl -> core, viz; core -> core; viz -> viz and core/base. core and viz
# never print, exit, read the environment or touch signals; each outside library has one file of
# ours; each header compiles alone.
set -u
status=0
complain() {
    [ -z "$2" ] && return
    echo "$1:"
    echo "$2"
    status=1
}

complain "core includes only core" \
    "$(grep -nE '^#include "' -r core | grep -vE '#include "core/')"
complain "viz includes only viz and core/base" \
    "$(grep -nE '^#include "' -r viz | grep -vE '#include "(viz/|core/base/)')"
complain "core and viz keep their hands off the process" \
    "$(grep -nwE '(printf|puts|putchar|perror|exit|_exit|abort|getenv|secure_getenv|signal|sigaction|setlocale)[[:space:]]*\(|fprintf[[:space:]]*\((stdout|stderr)' -r core viz --include='*.c' --include='*.cc')"
complain "banned functions" \
    "$(grep -nwE '(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atof)[[:space:]]*\(' -r core viz repl tests/unit --include='*.[ch]')"

# A copied process whose matrix library has threads hangs; other programs are spawned. And that library
# is never called from a parallel region of another.
complain "no fork, no OpenMP" \
    "$(grep -nwE 'v?fork[[:space:]]*\(|#[[:space:]]*pragma[[:space:]]+omp' -r core viz repl --include='*.[ch]' --include='*.cc')"

# library header -> how many files of ours may include it
for header in sqlite3.h cblas.h msgpack.h cJSON.h chafa.h cairo stb_image_write.h stb_image.h \
    stb_image_resize.h sentencepiece_processor.h readline/readline.h openssl/ zlib.h; do
    files=$(grep -lE "#include [<\"](.*/)?$header" -r core viz repl --include='*.c' --include='*.cc' --include='*.h')
    n=$(printf '%s' "$files" | grep -c .)
    [ "$n" -le 1 ] || complain "$header is included by $n files" "$files"
    complain "$header in a header of ours" "$(printf '%s' "$files" | grep '\.h$')"
done

cc=${CC:-gcc}
for header in $(find core viz repl -name '*.h' ! -name '*_body.h'); do
    # shellcheck disable=SC2046
    out=$($cc -std=c11 -D_GNU_SOURCE -I. -fsyntax-only -x c "$header" 2>&1) ||
        complain "$header does not compile alone" "$out"
done
exit $status
