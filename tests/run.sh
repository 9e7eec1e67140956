#!/bin/sh
# Runs the suite from the repository root: `make check`, or BUILD=build/gcc tests/run.sh.
#   T=NAME      only the tests whose name contains NAME
#   UPDATE=1    rewrites the expected files of the shell transcripts
#   JOBS=N      tests at a time (default: the processors)
#   LIMIT=S     seconds after which a test has hung (default: 600)
# The last line is "N passed, N failed, N skipped".
set -u
BUILD=${BUILD:-build/gcc}
T=${T:-}
export BUILD UPDATE="${UPDATE:-}" LIMIT="${LIMIT:-600}"
cd "$(dirname "$0")/.."
root=$(pwd)
logs=$root/$BUILD/tests/logs
if [ "${1:-}" != --one ]; then
    rm -rf "$logs"
    mkdir -p "$logs"
fi

# What tests may depend on is pinned here and nowhere else.
unset VQSH_DB VQSH_PAGER PAGER NO_COLOR COLORTERM XDG_DATA_HOME XDG_STATE_HOME XDG_CONFIG_HOME
export LC_ALL=C.UTF-8 TZ=UTC TERM=xterm-256color INPUTRC=/dev/null COLUMNS=80
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1:${ASAN_OPTIONS:-}
export LSAN_OPTIONS="suppressions=$root/tests/lsan.supp:print_suppressions=0:${LSAN_OPTIONS:-}"
export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}

# A German locale for the second pass, made here so that the machine need not have one.
locales=$root/build/locale
if [ ! -d "$locales/de_DE.UTF-8" ] && command -v localedef > /dev/null; then
    mkdir -p "$locales"
    localedef -i de_DE -f UTF-8 "$locales/de_DE.UTF-8" > /dev/null 2>&1
fi

# One test a line: NAME COMMAND...
list() {
    for bin in "$BUILD"/tests/test_*; do
        [ -x "$bin" ] && echo "unit/$(basename "$bin" | sed s/^test_//) $bin"
    done
    for cmd in tests/repl/*.cmd; do
        [ -f "$cmd" ] && echo "repl/$(basename "$cmd" .cmd) tests/transcript.sh $cmd"
    done
    for script in tests/check_*.sh; do
        [ -f "$script" ] && echo "check/$(basename "$script" .sh | sed s/^check_//) $script"
    done
    if [ -x "$BUILD/tests/pty/pty_test" ]; then
        echo "pty/shell $BUILD/tests/pty/pty_test -model_"
        echo "pty/model $BUILD/tests/pty/pty_test model_"
    fi
}

# The same again where a decimal comma could do harm.
german() {
    [ -d "$locales/de_DE.UTF-8" ] || return 0
    list | sed -n -E 's/^(unit\/(base|json|npy|config|store|out|opt|ckpt|viz[a-z_]*)|repl\/[^ ]*) /de\/\1 /p'
}

run_one() {
    name=$1
    shift
    log=$logs/$(echo "$name" | tr / .)
    case $name in de/*) export LOCPATH=$locales LC_ALL=de_DE.UTF-8 ;; esac
    began=$(date +%s%N)
    timeout -k 5 "$LIMIT" "$@" > "$log.log" 2>&1 < /dev/null
    code=$?
    ms=$((($(date +%s%N) - began) / 1000000))
    case $code in
        0) state=pass # a unit test that skipped one case of several has passed
            grep -q '^skipped:' "$log.log" && ! grep -q '  PASSED  ' "$log.log" && state=skip ;;
        *) state=FAIL ;;
    esac
    echo "$state $name $ms" > "$log.state"
    grep '^skipped:' "$log.log" | sort -u | sed "s|^|$name: |"
    if [ $state = FAIL ]; then
        echo "FAIL $name (exit $code): $*"
        grep -v -E '^\[( RUN|       OK|  PASSED|=+)' "$log.log" | tail -n 40 | sed 's/^/    /'
    fi
}

if [ "${1:-}" = --one ]; then
    shift
    run_one "$@"
    exit 0
fi

{ list; german; } | grep -F -- "$T" | xargs -P "${JOBS:-$(nproc)}" -I '{}' sh -c "exec tests/run.sh --one {}"

passed=$(cat "$logs"/*.state 2> /dev/null | grep -c '^pass')
failed=$(cat "$logs"/*.state 2> /dev/null | grep -c '^FAIL')
skipped=$(cat "$logs"/*.state 2> /dev/null | grep -c '^skip')
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
