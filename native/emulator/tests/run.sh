#!/bin/bash
# run.sh: builds the emulator's own tests and runs them. They need g++ and nothing else; about a minute when nothing is
# built yet.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
emulator=$(dirname "$here")
native=$(dirname "$emulator")
out=$native/target/emulator
cxx=${CXX:-g++}

# The runtime's objects are those of the libraries with the real kernels.
build() { # variant folder-of-kernels
    JACQUARD_FAMILIES="" JACQUARD_KERNELS=$2 JACQUARD_RUNTIME=$out/$1 "$emulator/build.sh" "$1" "$out/tests-$1" | tail -1
}
library=$(build check "$here/kernels")

programs=()
for source in "$here"/*_test.cpp; do
    program=$out/tests-check/$(basename "$source" .cpp)
    if [ ! "$program" -nt "$source" ] || [ ! "$program" -nt "$here/harness.h" ]; then
        "$cxx" -std=c++17 -O1 -g -Wall -Wextra -Werror -Wno-psabi -I"$emulator/include" "$source" -o "$program" -ldl
    fi
    programs+=("$program")
done

failed=0
for program in "${programs[@]}"; do "$program" "$library" "$here" || failed=1; done
exit $failed
