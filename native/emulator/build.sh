#!/bin/bash
# build.sh VARIANT [OUT]: builds OUT/libjacquard-emulator.so from the emulator and the kernels in native/src.
#   fast   kernels at full speed; asan  with AddressSanitizer and UBSan; check  every access checked (docs/emulator.md)
# OUT is native/target/emulator/VARIANT if not given. Only what changed is compiled again.
# JACQUARD_FAMILIES="moving norm" takes only these kernel files; JACQUARD_KERNELS=DIRS takes the .cu of DIRS instead;
# JACQUARD_RUNTIME=DIR keeps the emulator's own objects there (default OUT), for several sets of kernels in turn.
# JACQUARD_OVERRIDE=DIR takes DIR/x.cu for a kernel file x.cu where it exists; CXX is the compiler: g++ 12 or
# later or clang++ 16 or later (which has no asan here), g++ if not given.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$(dirname "$here")
variant=${1:-}
case $variant in
fast | check | asan) ;;
*)
    sed -n '2,8s/^# //p' "$0" >&2
    exit 2
    ;;
esac
out=${2:-$native/target/emulator/$variant}
cxx=${CXX:-g++}
if ! command -v "$cxx" >/dev/null; then
    echo "$cxx is not installed; the emulator needs a C++ compiler: sudo apt-get install g++ (dnf install gcc-c++)" >&2
    exit 3
fi
clang=""
case $("$cxx" --version) in
*clang*) clang=yes ;;
esac
if [ "$variant$clang" = asanyes ]; then
    echo "the asan build needs g++: $cxx links its sanitizers' libraries into programs only" >&2
    exit 3
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
mkdir -p "${JACQUARD_RUNTIME:-$out}"
runtime_out=$(cd "${JACQUARD_RUNTIME:-$out}" && pwd)

common="-std=c++17 -fPIC -g -Wall -Wextra -Werror -fno-strict-aliasing -I$native/include -I$here/include"
# Places of errors are return addresses: no calls in tail position. Uninitialised locals get a pattern.
kernel="-x c++ -fno-optimize-sibling-calls -ftrivial-auto-var-init=pattern -ffp-contract=off -Wno-unknown-pragmas
    -Wno-uninitialized -Wno-maybe-uninitialized -Wno-unused-parameter -Wno-unused-variable -Wno-unused-but-set-variable
    -Wno-unused-function -Wno-psabi"
if [ $clang ]; then kernel="$kernel -Wno-unknown-warning-option -Wno-pass-failed"; fi
link=""
case $variant in
fast)
    kernel="$kernel -O2"
    common="$common -O2"
    ;;
check)
    # Without instrumentation of function entries, which nobody reads. -O1 keeps the places exact.
    kernel="$kernel -O1 -fsanitize=thread,undefined -fno-sanitize=vptr,return,object-size,null"
    if [ $clang ]; then
        # What two branches have in common stays apart: merged code has no line.
        kernel="$kernel -fno-sanitize=function -mllvm -tsan-instrument-func-entry-exit=0 -mllvm -enable-tail-merge=0
            -mllvm -simplifycfg-sink-common=0 -mllvm -hoist-common-insts=0"
    else
        kernel="$kernel --param tsan-instrument-func-entry-exit=0"
    fi
    common="$common -O2 -DEMULATOR_CHECK"
    ;;
asan)
    kernel="$kernel -O1"
    common="$common -O1 -fsanitize=address,undefined -fno-sanitize=vptr -fno-omit-frame-pointer"
    link="-fsanitize=address,undefined"
    ;;
esac

runtime=()
for source in "$here"/src/*.cpp; do
    case $(basename "$source") in
    race.cpp | instrumentation.cpp | profile.cpp) [ "$variant" = check ] || continue ;;
    esac
    runtime+=("$source")
done
kernels=()
for folder in ${JACQUARD_KERNELS:-$native/src}; do
    if [ -n "${JACQUARD_FAMILIES:-}" ]; then
        for family in $JACQUARD_FAMILIES; do kernels+=("$folder/$family.cu"); done
    else
        for source in "$folder"/*.cu; do kernels+=("$source"); done
    fi
done

# An object is current when it is newer than its source and every header it was made from, with the same command.
current() { # object command
    local object=$1 dependency
    [ -f "$object" ] && [ -f "$object.d" ] && [ "$(cat "$object.cmd" 2>/dev/null)" = "$2" ] || return 1
    for dependency in $(sed -e 's/^[^:]*://' -e 's/\\$//' "$object.d"); do
        [ "$dependency" -nt "$object" ] && return 1
        [ -e "$dependency" ] || return 1
    done
    return 0
}

failed=0
running=0
compile() { # source object flags
    local command="$cxx $common $3 -MMD -MF $2.d -c $1 -o $2"
    if current "$2" "$command"; then return; fi
    if [ $running -ge 2 ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    (
        rm -f "$2"
        $command && printf '%s' "$command" >"$2.cmd"
    ) &
    running=$((running + 1))
}

objects=()
for source in "${kernels[@]}"; do
    object=$out/kernel_$(basename "$source" .cu).o
    override=${JACQUARD_OVERRIDE:-}/$(basename "$source")
    [ -z "${JACQUARD_OVERRIDE:-}" ] || [ ! -f "$override" ] || source=$override
    objects+=("$object")
    compile "$source" "$object" "$kernel"
done
for source in "${runtime[@]}"; do
    object=$runtime_out/$(basename "$source" .cpp).o
    objects+=("$object")
    compile "$source" "$object" ""
done
while [ $running -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
[ $failed = 0 ] || exit 1

library=$out/libjacquard-emulator.so
list="${objects[*]}"
stale=0
for object in "${objects[@]}"; do [ ! "$object" -nt "$library" ] || stale=1; done
if [ $stale = 1 ] || [ "$(cat "$library.list" 2>/dev/null)" != "$list" ]; then
    # Never unloaded: its worker threads outlive any dlclose. Linked aside and moved, so that a process that has the old
    # library mapped keeps it.
    "$cxx" -shared "${objects[@]}" $link -Wl,-z,defs -Wl,-z,nodelete -lpthread -ldl -o "$library.new"
    mv "$library.new" "$library"
    printf '%s' "$list" >"$library.list"
fi
echo "$library"
