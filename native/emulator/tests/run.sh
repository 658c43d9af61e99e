#!/bin/bash
# run.sh [all]: builds the emulator's own tests and runs them, with `all` on the fast and AddressSanitizer builds too.
# They need g++ or clang (CXX) and nothing else, the AddressSanitizer build g++; about a minute when nothing is built yet.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
emulator=$(dirname "$here")
native=$(dirname "$emulator")
out=$native/target/emulator
cxx=${CXX:-g++}

# The runtime's objects are those of the libraries with the real kernels.
build() { # variant folders-of-kernels
    JACQUARD_FAMILIES="" JACQUARD_KERNELS=$2 JACQUARD_RUNTIME=$out/$1 \
        "$emulator/build.sh" "$1" "$out/tests-$1" | tail -1
}
library=$(build check "$here/kernels $emulator/probes")

programs=()
for source in "$here"/*_test.cpp; do
    program=$out/tests-check/$(basename "$source" .cpp)
    if [ ! "$program" -nt "$source" ] || [ ! "$program" -nt "$here/harness.h" ]; then
        "$cxx" -std=c++17 -O1 -g -Wall -Wextra -Werror -Wno-psabi -Wno-unknown-pragmas -Wno-unused-parameter \
            -I"$emulator/include" -I"$native/include" "$source" -o "$program" -ldl -lpthread
    fi
    programs+=("$program")
done

failed=0
# Each wrapper has a probe. wgmma_descriptor has no PTX, and is in those of the two that call it.
wrappers=$(sed -nE 's/^PTX [a-z0-9_]+ ([a-z0-9_]+)\(.*/\1/p' "$native"/include/ptx*.cuh | sort -u)
for wrapper in $wrappers; do
    if [ "$wrapper" != wgmma_descriptor ] && ! grep -qE "ptx::$wrapper\b" "$emulator/probes/probes.cu"; then
        echo "native/emulator/probes/probes.cu: no probe of ptx::$wrapper" >&2
        failed=1
    fi
done
for program in "${programs[@]}"; do "$program" "$library" "$here" || failed=1; done
if [ "${1:-}" = all ]; then
    "$out/tests-check/fragments_test" "$(build fast "$here/kernels")" || failed=1
    # The sanitizers' libraries must be there before the program; the emulator itself handles no SIGSEGV.
    LD_PRELOAD="$("$cxx" -print-file-name=libasan.so) $("$cxx" -print-file-name=libubsan.so)" \
        ASAN_OPTIONS=detect_leaks=0 "$out/tests-check/fragments_test" "$(build asan "$here/kernels")" || failed=1
fi
exit $failed
