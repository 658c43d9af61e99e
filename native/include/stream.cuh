// stream.cuh: the loop that streams whole tensors through the registers.
#pragma once
#include "chunk.cuh"

// Runs `op` over units of N elements, from `first` to `units`, all threads of the grid side by side. `op.load<N>(i)`
// reads what element i and its neighbours need; `op.store<N>(i, in)` computes and writes. UNROLL loads are issued
// before the first is used: with the 2048 threads of an H200 multiprocessor, 2 loads of 16 bytes are 64 KiB in
// flight, and its share of 4.8 TB/s at about 1 us needs some 36 KiB.
template <int N, int UNROLL, class Op>
DEVICE void stream(int64_t first, int64_t units, Op& op) {
    const int64_t stride = gridThreads();
    for (int64_t unit = first + gridThread(); unit < units; unit += UNROLL * stride) {
        typename Op::template In<N> in[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            if (unit + u * stride < units) in[u] = op.template load<N>((unit + u * stride) * N);
        }
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            if (unit + u * stride < units) op.template store<N>((unit + u * stride) * N, in[u]);
        }
    }
}

// All n elements, in units of N when the pointers allow it; what is left over one by one.
template <int N, int UNROLL, class Op>
DEVICE void each(int64_t n, bool aligned, Op& op) {
    const int64_t units = aligned ? n / N : 0;
    if (units > 0) stream<N, UNROLL>(0, units, op);
    stream<1, 1>(units * N, n, op);
}

// What a result is added to: the elements at p, or where beta is 0 a -0, which leaves every sum as it is, also the sign
// of 0. With it a multiply-add can always be written as one, fmaf(a, b, before): whether a compiler contracts a product
// and a sum behind an `if` differs between the loops of one kernel, and between kernels that must give the same bits.
template <int N, class T>
DEVICE Chunk<T, N> load_before(const T* p, float beta) {
    if (beta != 0.f) return Chunk<T, N>::load(p);
    float nothing[N];
#pragma unroll
    for (int j = 0; j < N; j++) nothing[j] = -0.f;
    return Chunk<T, N>::narrow(nothing);
}

// out = f(x, before) element by element, for `each`; before is out, or -0 where beta is 0.
template <class O, class T, class F>
struct Map {
    O* out;
    const T* x;
    float beta;
    F f;

    static constexpr int N = TOGETHER<O, T>;

    template <int N>
    struct In {
        Chunk<T, N> x;
        Chunk<O, N> before;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<T, N>::load(x + i), load_before<N>(out + i, beta)};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float v[N], before[N];
        in.x.widen(v);
        in.before.widen(before);
#pragma unroll
        for (int j = 0; j < N; j++) v[j] = f(v[j], before[j]);
        Chunk<O, N>::narrow(v).store(out + i);
    }
};
