#!/usr/bin/env bash
# Builds the MEX into a folder of its own and runs the tests of the MATLAB face in Octave:
# suite.sh LIBRARY GOLDEN_FOLDER BUILD_FOLDER
set -u

if [ $# -ne 3 ]; then
    echo "usage: suite.sh LIBRARY GOLDEN_FOLDER BUILD_FOLDER" >&2
    exit 2
fi
library=$(realpath "$1")
golden=$(realpath "$2")
mkdir -p "$3"
build=$(realpath "$3")
tests=$(dirname "$(realpath "$0")")
face=$(realpath "$tests/../../bindings/matlab")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The current folder comes before the path, so it must hold nothing of the face.
cd "$scratch" || exit 1

octave() {
    VXF_GOLDEN=$golden VXF_BUILD=$build VXF_SCRATCH=$scratch VXF_EXAMPLES=$face/examples TMPDIR=$scratch \
        octave-cli --no-gui --quiet --no-init-file --no-history "$@" 2>&1 |
        grep -v '^error: ignoring const execution_exception& while preparing to exit$'
    return "${PIPESTATUS[0]}"
}

if ! octave --eval "addpath('$face'); build('library', '$library', 'output', '$build')"; then
    echo "0 passed, 1 failed"
    exit 1
fi
octave --eval "addpath('$build'); addpath('$tests'); run_tests" | tee "$scratch/said"
status=${PIPESTATUS[0]}
if ! tail -n 1 "$scratch/said" | grep -Eq '^[0-9]+ passed, [0-9]+ failed$'; then
    echo "the interpreter ended with $status before the last test"
    echo "0 passed, 1 failed"
    exit 1
fi
exit "$status"
