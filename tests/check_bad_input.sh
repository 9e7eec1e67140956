#!/bin/sh
# What the shell says to damaged, foreign and missing files, to contradictions, and to a run
# database it cannot use: a message that names the thing, exit status 1, no crash, work that goes on.
# shellcheck source-path=SCRIPTDIR/..
. tests/lib.sh
chmod 755 "$work"
golden=tests/data/golden
size=$(wc -c < $model)

# refused FILE TEXT [OPTIONS]: load says TEXT and leaves the model that was there alone.
refused() {
    file=$1 text=$2
    shift 2
    want 1 vqsh --no-log --keep-going -c "load $golden/heads3/model.safetensors --as before
        load '$file' $*; models" || return
    says "$text"
    [ "$(grep -c . err)" -le 5 ] || fail "$file: a long story: $(cat err)"
    tail -n 1 out | grep -q "^true.before" || fail "$file: the loaded model is gone"
}

# Cut at many lengths; longer than it says; foreign; empty; unreadable.
for cut in 1 7 8 9 100 2000 3000 5000 100000 $((size - 1)); do
    head -c "$cut" $model > cut.safetensors
    refused cut.safetensors cut.safetensors
done
says "$size"
{ cat $model; echo; } > long.safetensors
refused long.safetensors long.safetensors
: > empty.safetensors
refused empty.safetensors 'empty file'
refused nothing.safetensors 'No such file'
refused samples/heldout.txt 'text file'
refused $golden/heads3/inputs.npy 'numpy array'
printf '\377\330\377\340\000\020JFIF\000' > photo.safetensors
refused photo.safetensors 'JPEG'
printf '\211PNG\r\n\032\n\000\000\000\rIHDR' > picture.safetensors
refused picture.safetensors 'PNG'
printf 'PK\003\004\024\000\000\000\010\000' > archive.safetensors
refused archive.safetensors archive.safetensors
gzip -c $golden/heads3/model.safetensors > packed.safetensors
refused packed.safetensors 'gzip'
head -c 5000 /dev/urandom > noise.safetensors
refused noise.safetensors noise.safetensors
printf '\377\377\377\377\377\377\377\177{"a":1}' > huge.safetensors
refused huge.safetensors huge.safetensors
refused /dev/null 'device'
refused samples 'folder'
mkdir checkpoint_5
refused checkpoint_5 checkpoint_5
ln -s loop loop
refused loop loop

# Numbers that make no model: NaN in a codebook, found by its place in the file.
header=$(od -An -tu4 -N4 $model | tr -d ' ')
at=$(head -c $((8 + header)) $model | tail -c "$header" |
    grep -o '"transformer_layers_1/scanned_attn2/quantizer/c_sum":{[^}]*}' |
    sed 's/.*"data_offsets":\[\([0-9]*\),.*/\1/')
cp $model nan.safetensors
printf '\000\000\300\177' | dd of=nan.safetensors bs=1 seek=$((8 + header + at + 40)) conv=notrunc \
    2> /dev/null
refused nan.safetensors 'transformer_layers_1/scanned_attn2/quantizer/c_sum'
# And in a scale of int8 numbers.
want 0 vqsh --no-log --quiet -c "load $model; save int8.safetensors --weights int8"
header=$(od -An -tu4 -N4 int8.safetensors | tr -d ' ')
at=$(head -c $((8 + header)) int8.safetensors | tail -c "$header" |
    grep -o '"transformer_layers_1/scanned_attn2/res_proj/kernel_scale":{[^}]*}' |
    sed 's/.*"data_offsets":\[\([0-9]*\),.*/\1/')
printf '\000\000\200\277' | dd of=int8.safetensors bs=1 seek=$((8 + header + at + 4 * (2 * 128 + 5))) \
    conv=notrunc 2> /dev/null
refused int8.safetensors \
    'scanned_attn2/res_proj/kernel_scale: expected finite numbers of at least 0, found -1 in row 2, column 5'

# A file that another program cuts after it was opened: the shell says what killed it.
cp $model cut.safetensors
printf 'load cut.safetensors\n!truncate -s 5000 cut.safetensors\nscore --text abc\n' > cut.vqsh
ulimit -c 0
want 135 vqsh --no-log cut.vqsh
says 'made shorter'

# A configuration that is missing, broken, or of another model.
cp $golden/tied/model.safetensors bare.safetensors
want 0 vqsh --no-log -c 'load bare.safetensors; info'
says 'mem_len'
cp $golden/tied/model.safetensors other.safetensors
cp $golden/heads3/config.json config.json
refused other.safetensors 'config.json'
echo '{"mem_len": 16,' > config.json
refused other.safetensors 'config.json'
echo '{"mem_len": "long"}' > config.json
refused other.safetensors 'mem_len'
rm config.json
refused $model 'mem_len' --set mem_len=-1
refused $model 'mem_len' --set mem_len=99999999999999999999
refused $model 'n_layer' --set n_layer=4
refused $model 'e_tie' --set e_tie=1
refused $model 'nothing' --set nothing=1
refused $model 'd_model' --preset pg19

# Ids beyond the vocabulary, arrays of another kind, cut arrays.
want 1 vqsh --no-log -c "load $golden/heads3/model.safetensors
    score --tokens $golden/enwik8/targets.npy"
says 'from 0 to 49'
want 1 vqsh --no-log -c "load $model; feed --tokens $golden/heads3/logprobs.npy"
head -c 300 $golden/enwik8/inputs.npy > cut.npy
want 1 vqsh --no-log -c "load $model; feed --tokens cut.npy"
says 'cut.npy'
head -c 4096 /dev/urandom > noise.bin
want 0 vqsh --no-log -c "load $model; feed --file noise.bin; score --file noise.bin"
# --data of a damaged state file
want 0 vqsh --no-log -c "load $model; feed --text abc; state save s.safetensors"
for cut in 1 50 500 $(($(wc -c < s.safetensors) - 1)); do
    head -c "$cut" s.safetensors > cut.state
    want 1 vqsh --no-log -c "load $model; state load cut.state"
    says 'cut.state'
done

# A run database that cannot be one: a warning, the work done, the file untouched.
scored() {
    want 0 "$@"
    says 'warning: score: this run is not recorded'
    shows 'bits_per_byte'
}
cp noise.bin notes.db
scored vqsh --db notes.db -c "load $model; score --text abc"
cmp noise.bin notes.db || fail "a file that is no database was changed"
[ "$(echo notes.db*)" = notes.db ] || fail "files were left beside it: $(echo notes.db*)"
scored vqsh --db samples -c "load $model; score --text abc"
scored vqsh --db /dev/full -c "load $model; score --text abc"
scored env -u HOME "$program" -c "load $model; score --text abc"
want 1 vqsh --db notes.db -c runs
says 'notes.db'

# A folder and a file that only others may write (root may write everywhere: become nobody).
mkdir shut
chmod 555 shut
want 0 vqsh --db kept.db -c "load $model; score --text abc"
chmod 444 kept.db
as_user=
if [ "$(id -u)" = 0 ]; then
    as_user='setpriv --reuid 65534 --regid 65534 --clear-groups'
    chmod 755 home
fi
if $as_user test -x "$program" -a -r "$work/$model" 2> /dev/null; then
    scored $as_user "$program" --db shut/runs.db -c "load $model; score --text abc"
    scored $as_user "$program" --db kept.db -c "load $model; score --text abc"
    chmod 600 cut.npy
    want 1 $as_user "$program" --no-log -c "load $model; feed --tokens cut.npy"
    says 'Permission denied'
else
    echo "note: no second user to try read-only files with"
fi

exit $status
