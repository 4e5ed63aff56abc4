#!/usr/bin/env bash
# Unpacks packages of Debian 11 into a folder: debian11.sh FOLDER PACKAGE...
# It is the last that has Python 2.7 and Julia. Nothing is installed, dependencies are not followed, and apt works on
# lists of its own. Where that cannot be done, a line says why, and it leaves with 77.
set -euo pipefail

folder=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

cannot() {
    printf '%s\n' "$*"
    exit 77
}

[ "$(uname -m)" = x86_64 ] || cannot "what is run of Debian 11 is x86-64 only"
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
    timeout "$@" -qq -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=$work/none" \
        -o "Dir::State::Lists=$work/lists" -o "Dir::State::Status=$work/status" -o "Dir::Cache=$work/cache" \
        -o Acquire::Languages=none -o Acquire::Retries=1 -o APT::Update::Error-Mode=any \
        -o APT::Sandbox::User=root
}
own_apt 40 apt-get update >"$work/log" 2>&1 || cannot "no mirror that has Debian 11 can be reached"
(cd "$work/debs" && own_apt 120 apt-get download "$@") >"$work/log" 2>&1 || cannot "Debian 11's $1 cannot be had"
rm -rf "$folder"
mkdir -p "$folder"
for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$folder"; done
