#!/usr/bin/env bash
# Puts a Python 2.7 with numpy 1.16 into a folder, as machines have it that cannot be moved.
# Usage: legacy.sh FOLDER PYTHON3    Leaves FOLDER/python27; leaves 77 and a reason where that cannot be had.
# Debian 11 is the last that has Python 2.7. Nothing is installed: packages are unpacked into FOLDER, and apt works
# on lists of its own.
set -euo pipefail

folder=$1 python3=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

cannot() {
    printf '%s\n' "$*"
    exit 77
}

[ "$(uname -m)" = x86_64 ] || cannot "numpy 1.16 for Python 2.7 is there for x86-64 only"
for tool in apt-get dpkg-deb timeout; do
    command -v "$tool" >/dev/null || cannot "no $tool here"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || cannot "no Debian keys here"
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\).*/\2/p' | grep -v security | head -n 1) || true
[ -n "$mirror" ] || cannot "apt has no mirror here"

mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/none"
printf 'deb [signed-by=%s] %s bullseye main\n' "$keys" "$mirror" >"$work/sources.list"
: >"$work/status"
own_apt() {
    timeout 40 apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=$work/none" \
        -o "Dir::State::Lists=$work/lists" -o "Dir::State::Status=$work/status" -o "Dir::Cache=$work/cache" \
        -o Acquire::Languages=none -o Acquire::Retries=1 -o APT::Update::Error-Mode=any \
        -o APT::Sandbox::User=root "$@"
}
own_apt update >"$work/log" 2>&1 || cannot "no mirror that has Debian 11 can be reached"
(
    cd "$work/debs"
    own_apt download python2.7-minimal libpython2.7-minimal libpython2.7-stdlib libffi7 libssl1.1
) >"$work/log" 2>&1 || cannot "Debian 11's python2.7 cannot be had"
"$python3" -m pip download --quiet --no-deps --dest "$work" --python-version 27 --implementation cp --abi cp27mu \
    --platform manylinux1_x86_64 --only-binary=:all: numpy==1.16.6 >"$work/log" 2>&1 ||
    cannot "numpy 1.16 for Python 2.7 cannot be had"

rm -rf "$folder"
mkdir -p "$folder"
for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$folder"; done
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
