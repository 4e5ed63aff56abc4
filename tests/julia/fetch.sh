#!/usr/bin/env bash
# Puts Julia 1.5 into a folder: fetch.sh FOLDER    Leaves FOLDER/julia; leaves 77 and a reason where that cannot be had.
set -euo pipefail

folder=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# All that it loads beside what every system has; of libunwind Debian 11's own, as its exceptions fail with a later one.
bash "$here/../debian11.sh" "$folder" julia julia-common libjulia1 libllvm9 libunwind8 libdsfmt-19937-1 libgit2-1.1 \
    libhttp-parser2.9 libmbedcrypto3 libmbedtls12 libmbedx509-0 libopenlibm3 libutf8proc2 libpcre2-8-0 libgmp10 \
    libmpfr6 libgfortran5 libquadmath0 libffi7 libedit2 libbsd0 libmd0 libz3-4 libtinfo6
cat >"$folder/julia.new" <<'RUN'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
libraries=$here/usr/lib/x86_64-linux-gnu
LD_LIBRARY_PATH=$libraries:$libraries/julia:$here/lib/x86_64-linux-gnu exec "$here/usr/bin/julia" "$@"
RUN
chmod 755 "$folder/julia.new"
if ! said=$("$folder/julia.new" --startup-file=no -e 'using Test; @test_throws ErrorException error("x")' 2>&1); then
    printf 'Debian 11'"'"'s julia does not run here: %s\n' "$(printf '%s' "$said" | tail -n 1)"
    exit 77
fi
mv "$folder/julia.new" "$folder/julia"
