# The steps of `./x peers`, whose functions these use.
# shellcheck shell=bash disable=SC2154

install_torch() {
    rm -rf "$private/torch" &&
        "$python" -m venv "$private/torch" &&
        "$private/torch/bin/python" -m pip install --quiet -r tests/peers/requirements.txt &&
        cp tests/peers/requirements.txt "$private/torch/installed.txt"
}

peers_python() { # FOLDER MODULE
    cd "$1" &&
        VXF_LIBRARY=$release/libvoxfeed.so PYTHONPATH=$root/bindings/python:$root/tests/python PYTHONDONTWRITEBYTECODE=1 \
            "$private/torch/bin/python" -m unittest -v "$2"
}

peers_cpp() {
    local folder=$private/build/peers packages
    packages=$("$private/torch/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') &&
        cmake -S tests/peers -B "$folder" -DCMAKE_BUILD_TYPE=Release \
            -DTORCH="$packages/torch" -DCUDA="$(echo "$packages"/nvidia/cu*)" &&
        cmake --build "$folder" -j "$jobs" &&
        ctest --test-dir "$folder" --output-on-failure --no-tests=error
}

peers_suites() {
    need_tools
    if ! cmp -s tests/peers/requirements.txt "$private/torch/installed.txt"; then
        step "get PyTorch into .x/torch" install_torch
    fi
    suite "the library builds" count_check build_library
    suite "Python: PyTorch" count_unittest peers_python tests/peers test_torch
    suite "Python: DLPack with a numpy that reads version 1" count_unittest peers_python tests/python test_dlpack
    suite "C++: LibTorch" count_ctest peers_cpp
    sum_up
}
