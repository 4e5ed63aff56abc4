# The steps of `./x gpu`, whose functions these use.
# shellcheck shell=bash disable=SC2154

gpu_run() {
    local pack= options=()
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) options+=(--quick) ;;
        --pack)
            pack=${2:-}
            [ -n "$pack" ] || fail "gpu --pack needs a place: ./x gpu --pack FOLDER"
            shift
            ;;
        *) fail "gpu does not know '$1': ./x gpu [--quick] or ./x gpu --pack FOLDER" ;;
        esac
        shift
    done
    case $pack in '' | /*) ;; *) pack=$invoked_from/$pack ;; esac
    need_tools
    build
    step "pack" tests/gpu/pack "$release/libvoxfeed.so" "${pack:-$private/gpu}"
    if [ -n "$pack" ]; then
        printf '       %s of it in %s; take it to a machine with a GPU and %s, and call its run\n' \
            "$(du -sh "$pack" | cut -f 1)" "$pack" "$(cat "$pack/needs")"
    else
        local table=$root/benches/gpu.md
        # Figures of a quick run are no figures.
        case " ${options[*]-} " in *" --quick "*) table=$private/gpu/gpu.md ;; esac
        "$private/gpu/run" --table "$table" ${options[@]+"${options[@]}"}
    fi
}
