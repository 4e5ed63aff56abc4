#!/bin/sh
# Makes kernels.ptx of kernels.cu. NVCC and PTXAS name the two programs, CUDA the folder with their headers.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"$NVCC" -ptx -arch=compute_75 -O3 -fmad=false -I "$CUDA/include" -o "$folder/raw.ptx" kernels.cu
hash=$(python3 - <<'END'
hash = 0xCBF29CE484222325
for byte in open("kernels.cu", "rb").read():
    hash = (hash ^ byte) * 0x100000001B3 % 2**64
print("%016x" % hash)
END
)
{
    echo "// kernels.cu, FNV-1a $hash"
    sed -e 's/^\.version .*/.version 4.1/' -e 's/^\.target .*/.target sm_50/' -e '/used_bytes_mask/d' \
        -e '/^[[:space:]]*\/\//d' "$folder/raw.ptx"
} > "$folder/kernels.ptx"
for level in 50 61 70 75 80 86 90 100; do
    "$PTXAS" -arch=sm_$level -o "$folder/kernels.cubin" "$folder/kernels.ptx"
done
if grep -E '(add|sub|mul|div)\.(ftz\.)?f(32|64)|fma|\.ftz|\.approx' "$folder/kernels.ptx"; then
    echo "operations that are not rounded one by one" >&2
    exit 1
fi
cp "$folder/kernels.ptx" kernels.ptx
