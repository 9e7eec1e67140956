#!/bin/sh
# Help is true: every command is listed, told about, and each of its examples runs on the shipped
# model and exits 0; so does every script in samples/; README's list is the program's.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
head -c 1500 "$root/README.md" > README.md # what examples read: a text of the user's own

want 0 vqsh --format json -c help
"$tools/json_pick" name < out > names
want 0 vqsh -c help
cp out overview
want 0 vqsh -c 'help --markdown'
cp out markdown

# A session in which every example can run: something fed, something recorded.
cat > begin << END
load $model
feed --text "It is a truth universally acknowledged"
score --text abc
sample --length 4 --seed 1
END

# Another database for merge to read.
want 0 vqsh --db laptop.db -c "load $model; score --text abc"

while read -r name; do
    grep -q "^  $name  " overview || fail "help does not list $name"
    grep -qE "^\| \`$name[ \`]" markdown || fail "help --markdown does not list $name"
    want 0 vqsh -c "help $name" || continue
    [ "$(head -n 1 out | cut -d' ' -f1)" = "$name" ] || fail "help $name tells about something else"
    sed -n '/^Examples$/,$ s/^  //p' out > examples
    # Nothing sensible to show, or it would end the session.
    case $name in quit | source | train) continue ;; esac
    [ -s examples ] || fail "help $name has no example"
    while read -r example; do
        case $example in
            "$name "* | "$name") ;;
            *) fail "help $name: the example is of another command: $example" ;;
        esac
    done < examples
    cat begin examples > commands
    want 0 vqsh --db runs.db commands || fail "help $name: an example fails"
done < names
[ "$(wc -l < names)" -ge 30 ] || fail "help lists $(wc -l < names) commands only"

if grep -q '^| command | does |' "$root/README.md"; then
    grep '^| `' "$root/README.md" | grep -F -x -v -f - markdown | sed 1,2d > missing
    [ ! -s missing ] || fail "not in README.md as the program has it: $(cat missing)"
fi

# The demo takes minutes; check_train.sh runs it with fewer updates.
for script in samples/*.vqsh; do
    [ "$script" != samples/train-demo.vqsh ] || continue
    want 0 vqsh --db runs.db "$script" || fail "$script fails"
    plain
done

exit $status
