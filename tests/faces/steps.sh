# The steps of `./x test` for the faces in Julia and in MATLAB, whose functions these use.
# shellcheck shell=bash disable=SC2154

skip_suite() { # NAME WHY
    printf '%s ... skipped: %s\n0 passed, 0 failed, 1 skipped\n' "$1" "$2"
}

make_golden() {
    rm -rf "$private/golden" &&
        mkdir -p "$private/golden" &&
        VXF_LIBRARY=$release/libvoxfeed.so PYTHONDONTWRITEBYTECODE=1 "$VXF_PYTHON" tests/faces/golden.py "$private/golden"
}

generated() { # GENERATOR
    PYTHONDONTWRITEBYTECODE=1 "$VXF_PYTHON" "bindings/generate/$1.py"
}

low_level_of() { # GENERATOR
    case $1 in
    julia) echo bindings/julia/VoxFeed/src/lib.jl ;;
    matlab) echo bindings/matlab/src/options.h ;;
    esac
}

write_generated() {
    local one
    for one in julia matlab; do
        generated "$one" >"$private/generated" &&
            cp "$private/generated" "$(low_level_of "$one")" || return 1
    done
}

# The committed low level of a face is what its generator prints.
is_generated() { # GENERATOR
    generated "$1" | diff "$(low_level_of "$1")" - ||
        { printf 'it is not what the header says: ./x header writes it anew\n' && return 1; }
}

julia_suite() {
    local reason julia=$private/julia/julia status=0
    if [ ! -x "$julia" ]; then
        reason=$(bash tests/julia/fetch.sh "$private/julia") || status=$?
        if [ "$status" = 77 ]; then
            skip_suite "Julia" "$(printf '%s' "$reason" | tail -n 1)"
            return 0
        fi
        [ "$status" = 0 ] || { printf '%s\n' "$reason" && return 1; }
    fi
    VXF_LIBRARY=$release/libvoxfeed.so VXF_GOLDEN=$private/golden JULIA_DEPOT_PATH=$private/julia/depot \
        timeout 900 "$julia" --startup-file=no --threads 2 --project=bindings/julia/VoxFeed tests/julia/runtests.jl
}

matlab_suite() {
    if ! command -v octave-cli >/dev/null || ! command -v mkoctfile >/dev/null; then
        if ! command -v apt-get >/dev/null || ! can_be_root; then
            skip_suite "Octave" "there is none, and it cannot be installed without root: apt-get install octave octave-dev"
            return 0
        fi
        if ! apt_install octave octave-dev; then
            skip_suite "Octave" "apt-get could not install octave and octave-dev"
            return 0
        fi
    fi
    timeout 900 bash tests/matlab/suite.sh "$release/libvoxfeed.so" "$private/golden" "$private/build/matlab"
}

# Each finds the library of an installed copy by itself.
installed_faces() {
    local prefix=$private/build/prefix julia=$private/julia/julia
    rm -rf "$prefix" &&
        install_files "$prefix" || return 1
    if [ -x "$julia" ]; then
        [ "$(env -u VXF_LIBRARY JULIA_DEPOT_PATH="$private/julia/depot" "$julia" --startup-file=no \
            --project="$prefix/share/voxfeed/julia/VoxFeed" -e 'using VoxFeed; print(VoxFeed.library_path())')" = \
            "$prefix/lib/libvoxfeed.so.$(abi)" ] || return 1
    fi
    if command -v mkoctfile >/dev/null; then
        env -u VXF_LIBRARY -u VXF_PREFIX octave-cli --no-gui --quiet --no-init-file --eval \
            "addpath('$prefix/share/voxfeed/matlab'); build; exit(~strcmp(voxfeed.version(), '$(version)'))"
    fi
}

faces_suites() {
    suite "batches that every face must give" count_check make_golden
    suite "Julia: its low level is the header's" count_check is_generated julia
    suite "Julia" count_said julia_suite
    suite "MATLAB: its tables are the header's" count_check is_generated matlab
    suite "MATLAB, in Octave" count_said matlab_suite
    suite "an installed copy serves both" count_check installed_faces
}
