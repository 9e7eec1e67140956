#!/bin/sh
# The Makefile, on a copy of the sources with a compiler that only follows #include: what is built
# again after what change, separate trees for variants, install, clean, help.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES CC CXX SAN BLAS READLINE OPT WERROR T BUILD
mkdir tree bin
for f in core viz repl Makefile packages.txt samples setup.sh; do
    [ ! -e "$root/$f" ] || cp -R "$root/$f" tree/
done
mkdir -p tree/tests
cp -R "$root/tests/unit" "$root/tests/tools" "$root/tests/pty" tree/tests/
cat > bin/fakecc << 'END'
#!/bin/sh
# Notes each compilation in ../compiled; makes the object empty and the dependencies true: those of
# the tree, system headers are looked for nowhere.
out= compile= source= before=
for word; do
    case $before in -o) out=$word ;; esac
    case $word in -c) compile=1 ;; *.c | *.cc) source=$word ;; esac
    before=$word
done
if [ -z "$compile" ]; then
    printf '#!/bin/sh\n' > "$out"
    chmod +x "$out"
    exit 0
fi
echo "$source" >> ../compiled
: > "$out"
needs=
if [ -f "../needs/$source" ]; then
    read -r needs < "../needs/$source"
else
    for word in $(gcc -I. -nostdinc -MM -MG "$source"); do
        case $word in *.h) [ ! -e "$word" ] || needs="$needs $word" ;; esac
    done
    echo "$needs" > "../needs/$source"
fi
echo "$out: $source $needs" > "${out%.o}.d"
END
chmod +x bin/fakecc
PATH=$work/bin:$PATH
cd tree || exit 1
find core viz repl -type d -exec mkdir -p ../needs/{} \;

# build VARIABLES...: how many files were compiled, in $n
build() {
    : > ../compiled
    make -j2 CC=fakecc CXX=fakecc "$@" > ../make.out 2>&1 || fail "make $*: $(tail -n 3 ../make.out)"
    n=$(sort -u ../compiled | wc -l)
    [ "$n" = "$(wc -l < ../compiled)" ] || fail "make $*: a file was compiled twice"
}

build
sources=$(find core viz repl -name '*.c' -o -name '*.cc' | wc -l)
[ "$n" = "$sources" ] || fail "a first make compiled $n of $sources files"
build
[ "$n" = 0 ] || fail "a second make compiles $n files: $(head -n 3 ../compiled)"

for header in repl/speed.h viz/sheet.h core/base/half.h; do
    sleep 0.01
    touch $header
    build
    users=$(find build -name '*.d' -exec grep -lE "[ :]$header( |:|\$)" {} + | wc -l)
    [ "$n" = "$users" ] || fail "touching $header compiles $n files, it has $users users"
    [ "$n" -gt 0 ] && [ "$n" -lt $((sources / 2)) ] || fail "touching $header compiles $n files"
done
touch repl/speed.c
build
[ "$(cat ../compiled)" = repl/speed.c ] || fail "touching repl/speed.c compiles $(cat ../compiled)"

build OPT=-O1
[ "$n" = "$sources" ] || fail "another OPT compiles $n of $sources files"

# Variants have trees of their own, so going back and forth costs nothing.
build OPT=-O1 BLAS=0
[ "$n" = "$sources" ] || fail "BLAS=0 compiles $n of $sources files"
build OPT=-O1
[ "$n" = 0 ] || fail "going back from BLAS=0 compiles $n files"
for variant in '' -noblas; do
    [ -x "build/fakecc$variant/vqsh" ] || fail "there is no build/fakecc$variant: $(ls build)"
done
make -n SAN=address,undefined READLINE=0 2> /dev/null > ../make.out
grep -q 'build/gcc-address-undefined-noreadline/repl/main.o' ../make.out ||
    fail "SAN=address,undefined READLINE=0 has no tree of its own"

make OPT=-O1 CC=fakecc CXX=fakecc install DESTDIR="$work/image" PREFIX=/opt > ../make.out 2>&1 ||
    fail "make install: $(tail -n 3 ../make.out)"
for f in bin/vqsh share/vqsh/tour.vqsh share/vqsh/heldout.txt \
    share/vqsh/models/text-small.safetensors; do
    [ -f "$work/image/opt/$f" ] || fail "make install leaves no $f"
done
[ -x "$work/image/opt/bin/vqsh" ] || fail "the installed program cannot be run"
make CC=fakecc CXX=fakecc uninstall DESTDIR="$work/image" PREFIX=/opt > ../make.out 2>&1
[ "$(find "$work/image" -type f | wc -l)" = 0 ] || fail "uninstall leaves files"

make help > ../help.out 2>&1 || fail "make help fails"
for target in run test check install uninstall clean help all; do
    grep -qE "^  $target  " ../help.out || fail "make help does not tell of $target"
done
make clean > /dev/null
[ ! -e build ] && [ ! -e vqsh ] || fail "make clean leaves $(ls -d build vqsh)"

exit $status
