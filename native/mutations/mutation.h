// mutation.h: included before a kernel source in which many mutations are written (see docs/mutations.md). One of them
// is in force at a time; all others leave every value as it is.
#pragma once

extern "C" int mutation_on(int number);

template <class V, class W>
inline V mutation_or(int number, V value, W other) {
    return mutation_on(number) ? (V)other : value;
}

template <class V>
inline V mutation_pick(int number, V value, V other) {
    return mutation_on(number) ? other : value;
}

template <class V>
inline V mutation_shrink(int number, V value) {
    return mutation_on(number) ? (value > (V)1 ? value / (V)2 : value + (V)1) : value;
}

template <class V>
inline V mutation_flip(int number, V value) {
    return mutation_on(number) ? (V)(value ^ 1) : value;
}

template <class V>
inline V mutation_max(int number, V a, V b) {
    return (a < b) != (bool)mutation_on(number) ? b : a;
}

template <class V>
inline V mutation_min(int number, V a, V b) {
    return (a < b) != (bool)mutation_on(number) ? a : b;
}

inline float mutation_fmaxf(int number, float a, float b) {
    return mutation_on(number) ? __builtin_fminf(a, b) : __builtin_fmaxf(a, b);
}

inline float mutation_fminf(int number, float a, float b) {
    return mutation_on(number) ? __builtin_fmaxf(a, b) : __builtin_fminf(a, b);
}
