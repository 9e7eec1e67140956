#!/bin/sh
# The attention state is constant: a session of 1,000,000 tokens needs no more memory than one of
# 100,000 but for the ids it remembers (4 bytes each, doubled while the list grows: under 16 MB).
# Nor does scoring grow, nor `state save`.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
golden=tests/data/golden/mem8_block16
case $BUILD in
    *-address* | *-thread* | *-memory*)
        echo "skipped: under a sanitizer memory is not the program's own"
        exit 0
        ;;
esac

# 100,000 ids: those of a golden case over and over, behind a numpy header of 128 bytes.
tail -c +129 $golden/inputs.npy > ids
while [ "$(wc -c < ids)" -lt 400000 ]; do
    cat ids ids > more
    mv more ids
done
printf "\223NUMPY\001\000v\000%-117s\n" \
    "{'descr': '<i4', 'fortran_order': False, 'shape': (100000,), }" > ids.npy
head -c 400000 ids >> ids.npy

{
    echo "load $golden/model.safetensors"
    echo 'feed --tokens ids.npy; state save a.safetensors'
    echo '!grep VmHWM /proc/$PPID/status'
    for _ in 1 2 3 4 5 6 7 8 9; do echo 'feed --tokens ids.npy'; done
    echo 'state; state save b.safetensors'
    echo '!grep VmHWM /proc/$PPID/status'
} > commands
want 0 vqsh --no-log --quiet commands
grep -q '^position.1000000$' out || fail "the session is not at 1,000,000: $(tail -n 8 out)"
sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' out > peaks
first=$(sed -n 1p peaks)
last=$(sed -n 2p peaks)
echo "peak memory: $first kB after 100,000 tokens, $last kB after 1,000,000"
[ -n "$last" ] && [ $((last - first)) -lt 17000 ] || fail "memory grows with the number of tokens"
[ "$(wc -c < a.safetensors)" = "$(wc -c < b.safetensors)" ] || fail "the state file grows"

# Scoring keeps nothing: 400,000 tokens after 100,000.
printf "\223NUMPY\001\000v\000%-117s\n" \
    "{'descr': '<i4', 'fortran_order': False, 'shape': (400000,), }" > long.npy
for _ in 1 2 3 4; do tail -c +129 ids.npy; done >> long.npy
want 0 vqsh --no-log --quiet -c "load $golden/model.safetensors; score --tokens ids.npy
    !grep VmHWM /proc/\$PPID/status
    score --tokens long.npy
    !grep VmHWM /proc/\$PPID/status"
sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' out > peaks
first=$(sed -n 1p peaks)
last=$(sed -n 2p peaks)
echo "peak memory: $first kB after scoring 100,000 tokens, $last kB after 400,000"
# The input itself is 1.6 MB, read and checked: twice that, and slack.
[ -n "$last" ] && [ $((last - first)) -lt 5000 ] || fail "memory grows with the tokens scored"

exit $status
