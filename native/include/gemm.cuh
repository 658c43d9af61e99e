// What all matrix-product kernels share: which tile a block computes, which part of the inner dimension, and what happens
// to the sums on their way out.
#pragma once
#include "kernel.cuh"

namespace gemm {

constexpr int FLOAT_OUT = 1; // out is F32 although the operands are BF16 or F16
constexpr int TRANS_A = 2;   // a is [k, m]
constexpr int TRANS_B = 4;   // b is [n, k]
constexpr int ACCUMULATE = 8; // beta = 1

// Where the sums go: out = gelu?(sum + out? + bias?), or the bare sum into this split's part of the workspace.
template <class T> struct Result {
    void* out;
    const T* bias;
    T* pre;         // receives what gelu is taken of; null: no gelu
    float* partial; // [splits, m, n]; null: one split, the epilogue follows at once
    int m;
    int n;
    int flags;
};

struct Tile {
    int row;
    int column;
};

// Tile number `index` in groups of 8 rows of tiles, column by column within a group: the blocks that run at one time
// then share 8 stripes of a and few of b, which is what fits the L2 cache. Row-major order would sweep all of b.
DEVICE Tile tile_at(int index, int rows, int columns) {
    constexpr int GROUP = 8;
    const int group = index / (GROUP * columns);
    const int first = group * GROUP;
    const int height = min(rows - first, GROUP);
    const int in_group = index - group * GROUP * columns;
    return {first + in_group % height, in_group / height};
}

DEVICE int ceil_div(int x, int y) { return (x + y - 1) / y; }

// The k-tiles of one split, as even as they come.
struct Span {
    int from;
    int to;
};

DEVICE Span span_of(int split, int splits, int tiles) {
    return {int(int64_t(tiles) * split / splits), int(int64_t(tiles) * (split + 1) / splits)};
}

DEVICE float gelu(float x) {
    // 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2u))
    const float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
    return x / (1.f + expf(-2.f * u));
}

template <int V, class E> DEVICE void load_row(float (&v)[V], const E* p, bool vector, int count) {
    if constexpr (V * sizeof(E) % 16 == 0) {
        if (vector) {
            load_vec(v, p);
            return;
        }
    }
#pragma unroll
    for (int i = 0; i < V; i++) {
        v[i] = i < count ? to_float(p[i]) : 0.f;
    }
}

template <int V, class E> DEVICE void store_row(E* p, const float (&v)[V], bool vector, int count) {
    if constexpr (V * sizeof(E) % 16 == 0) {
        if (vector) {
            store_vec(p, v);
            return;
        }
    }
#pragma unroll
    for (int i = 0; i < V; i++) {
        if (i < count) {
            p[i] = from_float<E>(v[i]);
        }
    }
}

// Whether rows of `out`, `bias` and `pre` can be walked 16 bytes at a time. Uniform over the launch.
template <class T> DEVICE bool rows_aligned(const Result<T>& r) {
    return r.n % 8 == 0 && aligned16(r.out, r.bias, r.pre);
}

template <class T, class E, int V>
DEVICE void finish_as(const Result<T>& r, E* out, int column, float (&v)[V], int64_t at, bool vector) {
    const int count = r.n - column;
    float other[V];
    if (r.flags & ACCUMULATE) {
        load_row(other, out + at, vector, count);
#pragma unroll
        for (int i = 0; i < V; i++) {
            v[i] += other[i];
        }
    }
    if (r.bias) {
        load_row(other, r.bias + column, vector, count);
#pragma unroll
        for (int i = 0; i < V; i++) {
            v[i] += other[i];
        }
    }
    if (r.pre) {
        store_row(r.pre + at, v, vector, count);
#pragma unroll
        for (int i = 0; i < V; i++) {
            v[i] = gelu(v[i]);
        }
    }
    store_row(out + at, v, vector, count);
}

// Puts out V neighbouring sums of one row; nothing outside [m, n] is touched. `vector` is rows_aligned(r), and then
// `column` is a multiple of V.
template <class T, int V>
DEVICE void finish(const Result<T>& r, int split, int row, int column, float (&v)[V], bool vector) {
    if (row >= r.m || column >= r.n) {
        return;
    }
    const int64_t at = int64_t(row) * r.n + column;
    if (r.partial) {
        store_row(r.partial + int64_t(split) * r.m * r.n + at, v, r.n % V == 0, r.n - column);
    } else if (sizeof(T) == 4 || (r.flags & FLOAT_OUT)) {
        finish_as(r, static_cast<float*>(r.out), column, v, at, vector);
    } else {
        finish_as(r, static_cast<T*>(r.out), column, v, at, vector);
    }
}

// Floats between the staged rows of a warp: 8 more than a multiple of 32, so that the pairs that a warp writes from
// accumulator fragments fall into different banks.
template <int COLUMNS> constexpr int STAGE_PITCH = COLUMNS + 8;
template <int COLUMNS> constexpr int STAGE_BYTES = 16 * STAGE_PITCH<COLUMNS> * 4;

// Puts out 16 rows of COLUMNS sums that a warp holds as accumulator fragments: `sum(j, i)` is element i of the j-th
// 16 x 8 fragment, in the layout of mma.sync and wgmma. They go through `stage`, the warp's own shared memory, so that
// a lane then has 8 neighbours: a fragment has 2, which would make stores of 4 bytes and the epilogue 4 times the code.
template <class T, int COLUMNS, class Sum>
DEVICE void put_out_rows(const Result<T>& r, int split, int row0, int column0, float* stage, bool vector, Sum sum) {
    constexpr int PITCH = STAGE_PITCH<COLUMNS>;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++) {
        float* at = stage + lane / 4 * PITCH + j * 8 + lane % 4 * 2;
        *reinterpret_cast<float2*>(at) = make_float2(sum(j, 0), sum(j, 1));
        *reinterpret_cast<float2*>(at + 8 * PITCH) = make_float2(sum(j, 2), sum(j, 3));
    }
    __syncwarp();
#pragma unroll 1
    for (int i = lane; i < 16 * COLUMNS / 8; i += 32) {
        const int row = i / (COLUMNS / 8);
        const int column = i % (COLUMNS / 8) * 8;
        float v[8];
        load_vec(v, stage + row * PITCH + column);
        finish(r, split, row0 + row, column0 + column, v, vector);
    }
    __syncwarp(); // the stage is written again
}

} // namespace gemm
