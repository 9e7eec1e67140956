#!/bin/sh
# Installs the packages of packages.txt that are missing. Usage: setup.sh KIND...
# with KIND one of build, test, ci. Does nothing, and needs no privilege, when all are there.
set -eu
cd "$(dirname "$0")"

kinds=" ${*:-build} "
wanted=$(while read -r kind name _; do
    case "$kinds" in *" $kind "*) echo "$name" ;; esac
done < packages.txt)

if ! command -v dpkg-query > /dev/null 2>&1; then
    echo "setup: this is not a Debian system; install these yourself, or their like:" >&2
    echo $wanted >&2
    exit 0
fi

missing=
for name in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null || true)
    [ "$state" = installed ] || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo > /dev/null 2>&1; then
    as_root=sudo
else
    echo "setup: missing packages:$missing" >&2
    echo "setup: installing needs root or sudo, and neither is here. As root, run:" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

echo "setup: installing$missing" >&2
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing > "$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install || { $as_root apt-get update > "$log" 2>&1 && install; } || {
    tail -n 20 "$log" >&2
    echo "setup: the packages could not be installed (see above)" >&2
    exit 1
}
