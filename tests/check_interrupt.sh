#!/bin/sh
# Signals to a batch run: it ends at once with the right status, says so in the run database, and
# keeps what it had; one that was killed outright is found at the next opening.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
limit=200 # ms from the signal to the end; one try of several in time, the machine may be busy
case $BUILD in *-address* | *-thread*) limit=2000 ;; esac

# end SIGNAL STATUS COMMAND: starts it, sends the signal in the middle; ./out and ./err are its.
end() {
    best=999999
    for _ in 1 2 3 4 5; do
        # Under nohup SIGHUP is ignored, and the program leaves it so.
        env --default-signal=HUP "$program" --threads 1 --db runs.db -c "load $model; $3" \
            > out 2> err &
        pid=$!
        waited=0
        until grep -q config_path out || [ $waited = 200 ]; do # the model is loaded
            sleep 0.05
            waited=$((waited + 1))
        done
        sleep 0.3
        from=$(date +%s%N)
        kill -"$1" $pid
        wait $pid 2> /dev/null
        found=$?
        ms=$((($(date +%s%N) - from) / 1000000))
        [ $ms -lt $best ] && best=$ms
        [ $found = "$2" ] || break
        [ $best -le $limit ] && break
    done
    [ $found = "$2" ] || fail "$1 to $3: expected exit status $2, found $found: $(cat err)"
    [ "$1" = KILL ] || [ $best -le $limit ] || fail "$1 to $3: it took $best ms to end"
}

# recorded STATUS: the last run is marked so.
recorded() {
    vqsh --db runs.db --format json -c 'run -1' > run.json 2> run.err
    state=$("$tools/json_pick" status < run.json)
    [ "$state" = "$1" ] || fail "expected a run that is $1, found '$state' $(cat run.err)"
}

head -c 20000000 /dev/zero | tr '\0' 'x' > long.txt

end INT 130 'sample --length 100M --seed 1 --out kept.txt; !echo zzyzx'
recorded interrupted
[ -s kept.txt ] || fail "the text drawn before the interrupt was not kept"
! grep -q zzyzx out || fail "the commands after the interrupted one ran"
grep -q 'sample: interrupted' err || fail "nothing says that it was interrupted: $(cat err)"
drawn=$("$tools/json_pick" samples.tokens < run.json)
[ "$drawn" -gt 10 ] || fail "the run holds $drawn tokens"
grep -q "$(head -c 20 kept.txt | cut -d' ' -f 1)" out || fail "the text was not printed as it came"

end INT 130 "score --file long.txt --logprobs l.npy"
recorded interrupted
[ ! -e l.npy ] || fail "half an array was left"
[ "$(find . -maxdepth 1 -name '*.tmp*' -o -maxdepth 1 -name '.*l.npy*' | wc -l)" = 0 ] ||
    fail "temporary files were left: $(ls -A)"
end INT 130 "feed --file long.txt"
end INT 130 "verify --length 4000 --seed 1"

# Pieces are made by a library that cannot be stopped, in a process of its own.
awk 'BEGIN { srand(1); for (i = 0; i < 60000; i++) {
    for (j = 0; j < 12; j++) printf "%c%c%c%c%c ", 97 + rand() * 26, 97 + rand() * 26,
        97 + rand() * 26, 97 + rand() * 26, 97 + rand() * 26
    print "" } }' > words.txt
end INT 130 "vocab train words.model words.txt --size 30000 --type unigram"
recorded interrupted
! pgrep -f -- "--make-vocab .* words.txt" > /dev/null || fail "its process goes on"
[ ! -e words.model ] || fail "a vocabulary was left"

end TERM 143 'sample --length 100M --seed 1'
recorded interrupted
end HUP 129 "score --file long.txt"
recorded interrupted

# Killed without a word.
end KILL 137 'sample --length 100M --seed 1'
recorded crashed
want 0 vqsh --db runs.db --format json -c 'runs --status crashed'
[ "$("$tools/json_pick" command < out)" = sample ] || fail "runs does not list the crashed run"
want 0 vqsh --db runs.db -c 'load samples/models/text-small.safetensors; score --text abc'
recorded finished

exit $status
