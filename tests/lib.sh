# What the check scripts share. A script begins, from the repository root, with
#
#     . tests/lib.sh
#
# and is then in an empty folder that holds links to samples/ and tests/ and a home folder, and is
# removed at the end. Say what is wrong with `fail`; end with `exit $status`.
# shellcheck shell=sh
set -u
root=$(pwd)
BUILD=${BUILD:-build/gcc}
tools=$root/$BUILD/tests/tools
program=$root/vqsh
model=samples/models/text-small.safetensors
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
ln -s "$root/samples" "$root/tests" "$work/"
mkdir "$work/home"
export HOME="$work/home"
cd "$work" || exit 1
status=0

fail() {
    echo "$*"
    status=1
}

# The program on one thread, so that tests can run beside each other.
vqsh() {
    "$program" --threads 1 "$@"
}

# want STATUS COMMAND...: runs it with output in ./out and ./err, and checks its exit status.
want() {
    expected=$1
    shift
    "$@" > out 2> err < /dev/null
    found=$?
    [ "$found" = "$expected" ] && return 0
    fail "$*: expected exit status $expected, found $found"
    sed 's/^/    /' err | head -n 5
    return 1
}

# says TEXT: standard error of the last `want` holds TEXT.
says() {
    grep -qF -- "$1" err && return 0
    fail "expected a message with '$1', found:"
    sed 's/^/    /' err | head -n 5
    return 1
}

# shows TEXT: its standard output does.
shows() {
    grep -qF -- "$1" out && return 0
    fail "expected output with '$1', found:"
    sed 's/^/    /' out | head -n 5
    return 1
}

# quiet: it wrote no escape sequences to either.
plain() {
    ! LC_ALL=C grep -q "$(printf '\033')" out err && return 0
    fail "there are escape sequences in a pipe"
}
