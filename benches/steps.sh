# The steps of `./x bench`, whose functions these use.
# shellcheck shell=bash disable=SC2154

# The storage bench comes last, for its table.
bench_names() {
    local file
    for file in benches/*.rs benches/*/main.rs; do
        file=${file%/main.rs}
        basename "$file" .rs
    done | grep -vx storage | sort
    echo storage
}

bench_usage() {
    local name file
    printf '%s\n\n' './x bench [NAME...] [--quick] [-- OPTIONS]'
    for name in $(bench_names); do
        file=benches/$name.rs
        [ -e "$file" ] || file=benches/$name/main.rs
        printf '  %-10s %s\n' "$name" "$(sed -n '1s|^//! ||p' "$file")"
    done
    cat <<'TEXT'

Without names all of them. storage ends with a table and draws it into bench-output/storage.png; its first run
gets other readers (h5py, nibabel, zarr, tensorstore, blosc2, pymia …) into .x/peers and makes a data set of
3 GB in .x/bench-data. --quick: few subjects, short windows. OPTIONS are storage's, such as
./x bench storage -- --patch 32 --dtype i16; ./x bench storage -- --help lists them.
TEXT
}

# One by one, so that what cannot be had here does not keep the others away.
install_bench_peers() {
    local venv=$private/peers line words
    rm -rf "$venv" &&
        "$python" -m venv "$venv" || return 1
    while read -r line; do
        case $line in '' | '#'*) continue ;; esac
        read -r -a words <<<"$line"
        "$venv/bin/python" -m pip install --quiet "${words[@]}" </dev/null ||
            printf '%s\n' "$line" >>"$venv/missing.txt"
    done <benches/peers/requirements.txt
    "$venv/bin/python" -c 'import numpy' && cp benches/peers/requirements.txt "$venv/installed.txt"
}

need_bench_peers() {
    local venv=$private/peers
    if ! cmp -s benches/peers/requirements.txt "$venv/installed.txt" || ! "$venv/bin/python" -c '' 2>/dev/null; then
        step "get the benches' peers into .x/peers" install_bench_peers
        [ ! -e "$venv/missing.txt" ] || sed 's/^/  not installable here: /' "$venv/missing.txt"
    fi
    export VXF_BENCH_PYTHON=$venv/bin/python VXF_BENCH_DATA=$private/bench-data VXF_BENCH_OUTPUT=$root/bench-output
}

build_bench() { cargo bench --no-run --bench "$1"; }

bench_storage() {
    local picture=bench-output/storage.png
    case " $* " in *" --help "* | *" -h "*) cargo bench --quiet --bench storage -- --help && return 0 ;; esac
    need_bench_peers
    rm -f "$picture"
    cargo bench --quiet --bench storage -- "$@"
    if "$VXF_BENCH_PYTHON" -W ignore benches/plot.py bench-output/storage.json "$picture"; then
        printf '\ndrawn into %s, all figures in bench-output/storage.json\n' "$picture"
    else
        printf '\nnot drawn; all figures are in bench-output/storage.json\n'
    fi
}

bench_run() {
    local name names=() options=()
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) options+=(--quick) ;;
        --)
            shift
            options+=("$@")
            break
            ;;
        -*) fail "bench does not know '$1': ./x bench --help, and options of storage stand behind --" ;;
        *)
            bench_names | grep -qxF -e "$1" || fail "there is no bench '$1': there are $(bench_names | paste -sd ' ')"
            names+=("$1")
            ;;
        esac
        shift
    done
    [ ${#names[@]} -gt 0 ] || mapfile -t names < <(bench_names)
    need_tools
    for name in "${names[@]}"; do step "build the bench $name" build_bench "$name"; done
    for name in "${names[@]}"; do
        case $name in
        storage) bench_storage ${options[@]+"${options[@]}"} ;;
        *) cargo bench --quiet --bench "$name" ;;
        esac
    done
}
