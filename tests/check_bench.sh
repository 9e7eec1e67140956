#!/bin/sh
# bench: every path with its limit, the comparison with quadratic models as table, picture and run,
# and what it says of the processor and of OpenBLAS.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

# ---- all paths
# A limit that was measured while another process held the cores reads as a fraction of 2 and more:
# the best of three tries.
whole() {
    awk -F, '/^(prefill|generate|train)/ && !($3 > 0 && $5 > 0 && $6 > 0 && $7 > 0 && $7 < 2) { bad = 1; print }
        /^memory/ && !($4 > 0) { bad = 1; print } END { exit bad }' all.csv
}
for _ in 1 2 3; do
    want 0 vqsh --db b.db --format csv -c 'bench --preset text-tiny --batch 3 --seconds 0 --updates 1'
    cp out all.csv
    ! whole > rows || break
done
whole > rows || fail "a row is not whole: $(cat rows)"
for path in 'memory read' 'products f32' 'prefill f32' 'generate f32' 'generate f32 x3' \
    'generate bf16' 'generate int8' 'generate int8 x3' 'train f32'; do
    grep -q "^$path," all.csv || fail "there is no row of $path"
done
says 'thread'
says 'avx2: '
want 0 vqsh --db b.db --format json -c 'run -1'
shows 'generate int8 fraction'
shows 'features'
[ "$(vqsh --no-log --format csv -c 'bench machine' 2> /dev/null | grep -c generate)" = 0 ] ||
    fail 'bench machine measures more than the machine'

# ---- OpenBLAS held back
want 0 env OPENBLAS_CORETYPE=Haswell "$program" --no-log --format csv -c 'bench machine'
if grep -q 'openblas Haswell' out && grep -q 'avx512: all kernels' err; then
    says 'OPENBLAS_CORETYPE=Haswell holds OpenBLAS to its Haswell kernels'
    shows 'openblas Haswell, forced'
    want 0 env -u OPENBLAS_CORETYPE "$program" --no-log --format csv -c 'bench machine'
    ! grep -q 'holds OpenBLAS' err || fail 'it speaks of a variable that is not set'
fi

# ---- the comparison
want 0 vqsh --db b.db --format csv -c 'bench paper --preset text-tiny --quick --out p.png'
cp out paper.csv
[ "$(grep -c '^forward,\|^forward+backward,\|^generation,' paper.csv)" = 6 ] ||
    fail 'there are not three kinds of work at two lengths'
awk -F, 'NR > 1 && !($3 > 0 && $6 > 0 && ($6 - $3 / $4) ^ 2 < 1e-6 && ($7 - $3 / $5) ^ 2 < 1e-6) {
    print; bad = 1 } END { exit bad }' paper.csv || fail 'a ratio is not that of its rates'
says 'of its rate at'
"$tools/png_info" p.png > info || fail 'there is no picture'
want 1 vqsh --no-log -c 'bench paper --preset text-tiny --quick --out p.gif'
says 'ends in .png or .svg'
want 0 vqsh --db b.db --format json -c 'run -1'
shows 'forward+backward 256 vq_over_blocked'
want 0 vqsh --db b.db --format csv -c "sql \"SELECT count(*) AS n FROM v_metrics\""
[ "$(tail -n 1 out)" -ge 18 ] || fail "curves have $(tail -n 1 out) points"
want 0 vqsh --no-log --format csv -c \
    'bench paper --preset text-tiny --length 64 --length 128 --repeats 1 --patience 0'
[ "$(grep -c 'dense blocked' out)" = 2 ] || fail 'without patience nothing is extrapolated'
want 0 vqsh --no-log --format csv -c \
    'bench paper --preset text-tiny --length 4096 --repeats 1 --patience 0'
[ "$(grep -c 'dense blocked' out)" = 2 ] || fail 'one length alone is not extrapolated'
exit $status
