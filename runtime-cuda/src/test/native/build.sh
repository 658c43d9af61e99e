#!/bin/bash
# build.sh OUT: builds the stand-ins for NVIDIA's libraries into the folder OUT, under the names that the natives of the
# JavaCPP presets ask for. Test tools: each source says what it can do.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
cxx=${CXX:-g++}
mkdir -p "$out"

# library SONAME SOURCE [FLAGS]
library() {
    local file=$out/$1
    if [ "$file" -nt "$2" ] && [ "$file" -nt "$0" ]; then return; fi
    "$cxx" -std=c++17 -O2 -g -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -Wl,-z,defs -Wl,-soname,"$1" \
        -x c++ "$2" "${@:3}" -o "$file.new" -ldl -lpthread
    mv "$file.new" "$file"
}

library libnvidia-ml.so.1 "$here/nvml.cpp"
library libcublasLt.so.13 "$here/cublaslt.cpp"
library libnccl.so.2 "$here/nccl.cpp"
# Nothing of these is called: they are there because the presets' natives name them.
for name in libcuda.so.1 libcudart.so.13 libcublas.so.13; do library $name /dev/null; done
