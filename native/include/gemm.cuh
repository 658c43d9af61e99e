// What all matrix-product kernels share: which tile a block computes, which part of the inner dimension, and what happens
// to the sums on their way out.
#pragma once
#include "activation.cuh"
#include "chunk.cuh"

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

template <int V> DEVICE void add_row(float (&v)[V], const float (&other)[V]) {
#pragma unroll
    for (int i = 0; i < V; i++) {
        v[i] += other[i];
    }
}

// Whether rows of `out`, `bias` and `pre` can be walked 16 bytes at a time. Uniform over the launch.
template <class T> DEVICE bool rows_aligned(const Result<T>& r) {
    return r.n % 8 == 0 && aligned16(static_cast<const char*>(r.out), r.bias, r.pre);
}

// Puts out V neighbouring sums of one row; nothing outside [m, n] is touched. `vector` is rows_aligned(r), and then
// `column` is a multiple of V.
template <class T, int V>
DEVICE void finish(const Result<T>& r, int split, int row, int column, float (&v)[V], bool vector) {
    if (row >= r.m || column >= r.n) {
        return;
    }
    const int64_t at = int64_t(row) * r.n + column;
    const int count = r.n - column;
    if (r.partial) {
        store_row(r.partial + int64_t(split) * r.m * r.n + at, v, r.n % V == 0, count);
        return;
    }
    const bool floats = sizeof(T) == 4 || (r.flags & FLOAT_OUT);
    float* float_out = static_cast<float*>(r.out) + at;
    T* out = static_cast<T*>(r.out) + at;
    float other[V];
    if (r.flags & ACCUMULATE) {
        if (floats) {
            load_row(other, float_out, vector, count);
        } else {
            load_row(other, out, vector, count);
        }
        add_row(v, other);
    }
    if (r.bias) {
        load_row(other, r.bias + column, vector, count);
        add_row(v, other);
    }
    if (r.pre) {
        store_row(r.pre + at, v, vector, count);
#pragma unroll
        for (int i = 0; i < V; i++) {
            v[i] = ::gelu<T>(to_float(from_float<T>(v[i]))); // of what was stored
        }
    }
    if (floats) {
        store_row(float_out, v, vector, count);
    } else {
        store_row(out, v, vector, count);
    }
}

// ---- Results in accumulator fragments. A warp has PARTS of 16 rows by COLUMNS sums; `sum(p, j, i)` is element i of the
// j-th 16 x 8 fragment of part p, in the layout of mma.sync and wgmma: rows lane / 4 and + 8, columns 2 (lane % 4) and
// the next. Part p begins at row + p * row_step, column + p * column_step.

struct Place {
    int row;
    int column;
    int row_step;
    int column_step;
};

// Floats from one staged row to the next: 8 more than a multiple of 32, so that the pairs that a warp writes from its
// fragments fall into different banks.
template <int COLUMNS> constexpr int STAGE_PITCH = COLUMNS + 8;
template <int COLUMNS> constexpr int STAGE_BYTES = 16 * STAGE_PITCH<COLUMNS> * 4;

// The bias of the two columns of a thread, 0 without. For rows of whole 8 columns.
template <class T> DEVICE float2 bias_pair(const T* bias, int column, int n) {
    return bias && column < n ? make_float2(to_float(bias[column]), to_float(bias[column + 1])) : make_float2(0.f, 0.f);
}

// F32 results and partial sums: the two columns of a thread go out directly, four threads fill a sector of 32 bytes.
template <class T, int COLUMNS, int PARTS, class Sum>
DEVICE void put_out_pairs(const Result<T>& r, int split, Place at, Sum sum) {
    const int lane = threadIdx.x % 32;
    const bool partial = r.partial != nullptr;
    float* out = partial ? r.partial + int64_t(split) * r.m * r.n : static_cast<float*>(r.out);
    const bool accumulate = !partial && (r.flags & ACCUMULATE);
    const T* bias = partial ? nullptr : r.bias;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
#pragma unroll
        for (int j = 0; j < COLUMNS / 8; j++) {
            const int column = at.column + p * at.column_step + j * 8 + lane % 4 * 2;
            const float2 b = bias_pair(bias, column, r.n);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = at.row + p * at.row_step + lane / 4 + half * 8;
                if (row < r.m && column < r.n) {
                    float2* to = reinterpret_cast<float2*>(out + int64_t(row) * r.n + column);
                    const float2 before = accumulate ? *to : make_float2(0.f, 0.f);
                    *to = make_float2(sum(p, j, half * 2) + before.x + b.x, sum(p, j, half * 2 + 1) + before.y + b.y);
                }
            }
        }
    }
}

// 16-bit results with no more than a bias: rounded in pairs, so that half as much goes through shared memory. A row of
// the stage is COLUMNS / 2 + 4 words: the 8 rows that 8 lanes read 16 bytes of lie in different banks, as do the pairs.
template <class T, int COLUMNS, int PARTS, class Sum>
DEVICE void put_out_rounded(const Result<T>& r, Place at, float* stage, Sum sum) {
    constexpr int PITCH = COLUMNS / 2 + 4;
    constexpr int CHUNKS = COLUMNS / 8;
    const int lane = threadIdx.x % 32;
    uint32_t* words = reinterpret_cast<uint32_t*>(stage);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const int row0 = at.row + p * at.row_step;
        const int column0 = at.column + p * at.column_step;
#pragma unroll
        for (int j = 0; j < CHUNKS; j++) {
            const float2 b = bias_pair(r.bias, column0 + j * 8 + lane % 4 * 2, r.n);
            uint32_t* to = words + lane / 4 * PITCH + j * 4 + lane % 4;
            to[0] = pack2(sum(p, j, 0) + b.x, sum(p, j, 1) + b.y, T{});
            to[8 * PITCH] = pack2(sum(p, j, 2) + b.x, sum(p, j, 3) + b.y, T{});
        }
        __syncwarp();
#pragma unroll
        for (int i = lane; i < 16 * CHUNKS; i += 32) {
            const int row = i % 8 + i / (8 * CHUNKS) * 8;
            const int chunk = i / 8 % CHUNKS;
            const uint4 eight = ptx::ld128(words + row * PITCH + chunk * 4);
            if (row0 + row < r.m && column0 + chunk * 8 < r.n) {
                ptx::st128(static_cast<T*>(r.out) + int64_t(row0 + row) * r.n + column0 + chunk * 8, eight);
            }
        }
        __syncwarp(); // the stage is written again
    }
}

// Everything else: staged in F32, so that a lane has 8 neighbours and the whole epilogue stands once in the code. On
// each pair of each fragment it would be thousands of instructions; the turn over the parts is not unrolled either, and
// picks its fragments by a branch, since registers have no index.
template <class T, int COLUMNS, int PARTS, class Sum>
DEVICE void put_out_any(const Result<T>& r, int split, Place at, float* stage, bool vector, Sum sum) {
    constexpr int PITCH = STAGE_PITCH<COLUMNS>;
    const int lane = threadIdx.x % 32;
#pragma unroll 1
    for (int part = 0; part < PARTS; part++) {
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            if (p == part) {
#pragma unroll
                for (int j = 0; j < COLUMNS / 8; j++) {
                    float* to = stage + lane / 4 * PITCH + j * 8 + lane % 4 * 2;
                    *reinterpret_cast<float2*>(to) = make_float2(sum(p, j, 0), sum(p, j, 1));
                    *reinterpret_cast<float2*>(to + 8 * PITCH) = make_float2(sum(p, j, 2), sum(p, j, 3));
                }
            }
        }
        __syncwarp();
#pragma unroll 1
        for (int i = lane; i < 16 * COLUMNS / 8; i += 32) {
            const int row = i / (COLUMNS / 8);
            const int column = i % (COLUMNS / 8) * 8;
            float v[8];
            load_vec(v, stage + row * PITCH + column);
            finish(r, split, at.row + part * at.row_step + row, at.column + part * at.column_step + column, v, vector);
        }
        __syncwarp(); // the stage is written again
    }
}

// `stage` is STAGE_BYTES<COLUMNS> of shared memory of this warp.
template <class T, int COLUMNS, int PARTS, class Sum>
DEVICE void put_out(const Result<T>& r, int split, Place at, float* stage, Sum sum) {
    const bool vector = rows_aligned(r);
    const bool plain = vector && !r.pre;
    if (plain && (sizeof(T) == 4 || r.partial || (r.flags & FLOAT_OUT))) {
        put_out_pairs<T, COLUMNS, PARTS>(r, split, at, sum);
        return;
    }
    if constexpr (sizeof(T) == 2) {
        if (plain && !(r.flags & ACCUMULATE)) {
            put_out_rounded<T, COLUMNS, PARTS>(r, at, stage, sum);
            return;
        }
    }
    put_out_any<T, COLUMNS, PARTS>(r, split, at, stage, vector, sum);
}

} // namespace gemm
