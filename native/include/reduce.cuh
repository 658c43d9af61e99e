// reduce.cuh: reductions over a warp and over a block, in a fixed order: the same bits on every run.
#pragma once
#include "kernel.cuh"

struct Add {
    DEVICE static float identity() {
        return 0.f;
    }
    DEVICE static float of(float a, float b) {
        return a + b;
    }
};
struct Max {
    DEVICE static float identity() {
        return -INF_F32;
    }
    DEVICE static float of(float a, float b) {
        return fmaxf(a, b);
    }
};

// Over groups of WIDTH lanes (a power of two), for every lane. All 32 lanes of the warp take part.
template <class Op, int WIDTH = 32>
DEVICE float warp_reduce(float x) {
#pragma unroll
    for (int distance = WIDTH / 2; distance > 0; distance /= 2) {
        x = Op::of(x, __shfl_xor_sync(0xffffffffu, x, distance));
    }
    return x;
}
template <int WIDTH = 32>
DEVICE float warp_sum(float x) {
    return warp_reduce<Add, WIDTH>(x);
}
template <int WIDTH = 32>
DEVICE float warp_max(float x) {
    return warp_reduce<Max, WIDTH>(x);
}

// Over N values per thread at once, each over the whole block, for every thread. The block is one-dimensional and
// a multiple of 32 threads. Two barriers, whatever N; the second lets the next call reuse the shared memory.
template <class Op, int N>
DEVICE void block_reduce(float (&x)[N]) {
    __shared__ float parts[N][32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
#pragma unroll
    for (int i = 0; i < N; i++) {
        x[i] = warp_reduce<Op>(x[i]);
        if (lane == 0) parts[i][warp] = x[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; i++) {
        x[i] = warp_reduce<Op>(lane < warps ? parts[i][lane] : Op::identity());
    }
    __syncthreads();
}
DEVICE float block_sum(float x) {
    float v[1] = {x};
    block_reduce<Add>(v);
    return v[0];
}
DEVICE float block_max(float x) {
    float v[1] = {x};
    block_reduce<Max>(v);
    return v[0];
}
DEVICE float2 block_sum2(float a, float b) {
    float v[2] = {a, b};
    block_reduce<Add>(v);
    return make_float2(v[0], v[1]);
}
