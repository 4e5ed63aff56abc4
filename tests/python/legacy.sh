#!/usr/bin/env bash
# Puts a Python 2.7 with numpy 1.16 into a folder, as machines have it that cannot be moved.
# Usage: legacy.sh FOLDER PYTHON3    Leaves FOLDER/python27; leaves 77 and a reason where that cannot be had.
set -euo pipefail

folder=$1 python3=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cannot() {
    printf '%s\n' "$*"
    exit 77
}

bash "$here/../debian11.sh" "$folder" python2.7-minimal libpython2.7-minimal libpython2.7-stdlib libffi7 libssl1.1
"$python3" -m pip download --quiet --no-deps --dest "$work" --python-version 27 --implementation cp --abi cp27mu \
    --platform manylinux1_x86_64 --only-binary=:all: numpy==1.16.6 >"$work/log" 2>&1 ||
    cannot "numpy 1.16 for Python 2.7 cannot be had"
"$python3" -m zipfile -e "$work"/numpy-*.whl "$folder/usr/lib/python2.7"
cat >"$folder/python27.new" <<'RUN'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
libraries=$here/usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu
PYTHONHOME=$here/usr LD_LIBRARY_PATH=$libraries exec "$here/usr/bin/python2.7" "$@"
RUN
chmod 755 "$folder/python27.new"
"$folder/python27.new" -c 'import ctypes, json, numpy' >"$work/log" 2>&1 || cannot "Debian 11's python2.7 does not run here"
mv "$folder/python27.new" "$folder/python27"
