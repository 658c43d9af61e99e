// fold.cuh: all elements of a tensor into what a thread keeps of them: sums, maxima.
#pragma once
#include "stream.cuh"

// Shows f every element, with its place in the access that loaded it, for `each`.
template <class T, class F>
struct Fold {
    const T* x;
    F f;

    template <int N>
    struct In {
        Chunk<T, N> x;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<T, N>::load(x + i)};
    }

    template <int N>
    DEVICE void store(int64_t, const In<N>& in) {
        float v[N];
        in.x.widen(v);
#pragma unroll
        for (int j = 0; j < N; j++) f(v[j], j);
    }
};

// UNROLL accesses of 16 bytes per thread and turn.
template <int UNROLL, class T, class F>
DEVICE void fold(const T* x, int64_t n, F f) {
    Fold<T, F> op{x, f};
    each<VEC<T>, UNROLL>(n, aligned16(x), op);
}
