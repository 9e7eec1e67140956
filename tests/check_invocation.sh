#!/bin/sh
# How the program is called and how it leaves: options, scripts, standard input, exit statuses, what
# goes to which stream, full disks and readers that go away.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh

# Bad usage is 2, and nothing ran.
for usage in '--nothing' '--format nothing -c quit' '--threads 0 -c quit' '--threads x -c quit' \
    '--threads 100000 -c quit' '--seed -1 -c quit' '--seed 1.5 -c quit' '--color maybe -c quit' \
    '-c' '--db' '-x'; do
    # shellcheck disable=SC2086
    want 2 "$program" $usage
    [ ! -s out ] || fail "$usage: bad usage prints on stdout"
    [ -s err ] || fail "$usage: bad usage says nothing"
done
want 0 "$program" --help
shows '--keep-going'
want 0 "$program" --version
grep -qx 'vqsh [0-9.]*' out || fail "--version: $(cat out)"

# Commands: several -c, ';' and newline, in one order; a failure stops them, --keep-going does not.
want 0 vqsh -c '!echo 1' -c '!echo 2
!echo 3
show seed; ; # nothing'
[ "$(head -n 3 out | tr -d '\n')" = 123 ] || fail "the commands of -c ran out of order: $(cat out)"
want 1 vqsh -c '!echo 1' -c nothing -c '!echo 2'
[ "$(cat out)" = 1 ] || fail "a failing -c did not stop the next: $(cat out)"
want 1 vqsh --keep-going -c '!echo 1' -c nothing -c '!echo 2'
[ "$(tr -d '\n' < out)" = 12 ] || fail "--keep-going stopped: $(cat out)"
want 0 vqsh -c '' -c ' ' -c '# nothing'

# Scripts, standard input, both; a line that lacks its end; carriage returns are no part of a word.
echo '!echo script' > one.vqsh
printf '!echo tail' > two.vqsh
want 0 vqsh one.vqsh two.vqsh
[ "$(tr '\n' ' ' < out)" = 'script tail ' ] || fail "two scripts: $(cat out)"
echo '!echo piped' | vqsh > out 2> err || fail "standard input: $(cat err)"
[ "$(cat out)" = piped ] || fail "standard input: $(cat out)"
echo '!echo piped' | vqsh one.vqsh - > out 2> err || fail "script and -: $(cat err)"
[ "$(tr '\n' ' ' < out)" = 'script piped ' ] || fail "script and -: $(cat out)"
want 0 vqsh -c 'source one.vqsh; !echo after'
[ "$(tr '\n' ' ' < out)" = 'script after ' ] || fail "source: $(cat out)"
want 1 vqsh nothing.vqsh
says 'nothing.vqsh: No such file'
want 1 vqsh samples
printf 'show seed\nshow nothing\n' > bad.vqsh
want 1 vqsh bad.vqsh
says 'bad.vqsh:2: show: no setting'
want 1 vqsh -c 'source bad.vqsh; !echo never'
[ "$(grep -c never out)" = 0 ] || fail "a failing source did not stop -c"
echo 'source loop.vqsh' > loop.vqsh
want 1 vqsh loop.vqsh
says 'deep'
printf 'show seed\r\nset format json\r\nshow seed\r\n' > dos.vqsh
want 0 vqsh dos.vqsh
want 3 vqsh -c 'quit 3; nothing'
want 0 vqsh -c 'quit' -c nothing

# Results on stdout, all else on stderr, and nothing else with --quiet.
load="load $model"
want 0 vqsh --no-log -c "$load; feed --text abc; reset; timing on; next -k 1"
says 'text-small is at position 0'
says 'time '
plain
want 0 vqsh --no-log --quiet -c "$load; feed --text abc; reset; timing on; next -k 1; use text-small"
[ ! -s err ] || fail "--quiet: $(cat err)"
want 0 vqsh --no-log --quiet --color always -c "$load; info"
want 0 env TERM=xterm CLICOLOR_FORCE=1 "$program" --no-log -c "$load; help; info; models"
plain

# A result written through a link: the link stays, what it points to is replaced.
mkdir far
echo old > far/codes.npy
ln -s far/codes.npy near.npy
want 0 vqsh --no-log -c "$load; export codebook near.npy"
[ -L near.npy ] && [ "$(wc -c < far/codes.npy)" -gt 1000 ] || fail "a link was replaced: $(ls -l . far)"

# No prompt, banner or history without a terminal.
printf 'show seed\n' | vqsh > out 2> err
! grep -q 'vqsh>' out err || fail "there is a prompt in a pipe"
[ ! -e home/.local/state/vqsh/history ] || fail "batch wrote a history"

# --load is a command, and several are: the last one's model is current.
cp "$model" other.safetensors
want 0 vqsh --no-log --quiet --format csv --load "$model" --load other.safetensors -c models
[ "$(tail -n 2 out | cut -d , -f 1,2 | tr '\n' ' ')" = 'false,text-small true,other ' ] ||
    fail "two --load: $(cat out)"
want 1 vqsh --no-log --quiet --load none.safetensors --load other.safetensors -c models
[ ! -s out ] || fail "a --load that failed did not end the batch: $(cat out)"

# A disk that is full, a reader that has gone.
for command in 'show seed' 'help' "$load" "$load; output /dev/null; output; sample --length 5"; do
    "$program" --no-log --quiet -c "$command" > /dev/full 2> err
    [ $? = 1 ] || fail "$command > /dev/full: expected exit status 1"
    says 'No space left'
done
for option in --help --version; do
    "$program" $option > /dev/full 2> err && fail "$option > /dev/full succeeds"
done
want 1 vqsh -c 'show seed; output /dev/full; show seed'
"$program" -c 'show seed' >&- 2> err && fail "a closed stdout is no failure"
(
    "$program" --threads 1 --quiet --db gone.db -c "output /dev/null; $load; output
        sample --length 1000000 --seed 1" 2> err
    echo $? > code
) | head -c 10 > /dev/null
[ "$(cat code)" = 141 ] || fail "a reader that goes: expected exit status 141, found $(cat code)"
[ ! -s err ] || fail "a reader that goes: $(cat err)"
want 0 vqsh --db gone.db --format json -c 'run -1'
[ "$("$tools/json_pick" status < out)" = interrupted ] || fail "the run without a reader: $(cat out)"

exit $status
