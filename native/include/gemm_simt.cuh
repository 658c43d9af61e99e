// Products on the ordinary arithmetic units: what gemm_simt.cu, gemm_scaled.cu and gemm_weights.cu share. Operands come
// as F32, four neighbours at a time, from whatever `load_four` makes of them.
#pragma once
#include "gemm.cuh"

namespace gemm {

constexpr int SIMT_THREADS = 256; // 16 x 16, each with R x R sums
constexpr int PAD = 4; // floats: rows stay 16-byte aligned, and transposing stores conflict two ways instead of eight

// One operand as a matrix of lines (rows of a, columns of b) and steps (the inner dimension).
template <class T> struct Operand {
    const T* data;
    int lines;
    int steps;
    bool lines_together; // neighbours in memory are lines, not steps
    bool vector;        // four neighbours can be loaded as 16 bytes
};

template <class T> DEVICE Operand<T> operand_of(const T* data, int lines, int steps, bool lines_together) {
    const int pitch = lines_together ? lines : steps;
    return {data, lines, steps, lines_together, sizeof(T) == 4 && pitch % 4 == 0 && aligned16(data)};
}

// Loads four neighbours along memory, zero outside the operand.
template <class T>
DEVICE void load_four(float (&v)[4], const Operand<T>& x, int line, int step) {
    const int across = x.lines_together ? step : line;
    const int along = x.lines_together ? line : step;
    const int across_end = x.lines_together ? x.steps : x.lines;
    const int along_end = x.lines_together ? x.lines : x.steps;
    const bool in = across < across_end;
    const T* p = x.data + int64_t(in ? across : 0) * along_end + along;
    load_row(v, p, in && x.vector && along < along_end, in ? along_end - along : 0);
}

// The place in the tile of the `i`-th group of four of this thread.
struct Four {
    int line;
    int step;
};

template <int SIZE, int DEPTH> DEVICE Four four_of(bool lines_together, int i) {
    const int four = threadIdx.x + i * SIMT_THREADS;
    if (lines_together) {
        return {four % (SIZE / 4) * 4, four / (SIZE / 4)};
    }
    return {four / (DEPTH / 4), four % (DEPTH / 4) * 4};
}

template <int SIZE, int DEPTH, class X, int FOURS>
DEVICE void fetch(float (&v)[FOURS][4], const X& x, int line0, int step0) {
#pragma unroll
    for (int i = 0; i < FOURS; i++) {
        const Four at = four_of<SIZE, DEPTH>(x.lines_together, i);
        load_four(v[i], x, line0 + at.line, step0 + at.step);
    }
}

template <int SIZE, int DEPTH, int FOURS>
DEVICE void keep(float (&tile)[DEPTH][SIZE + PAD], const float (&v)[FOURS][4], bool lines_together) {
#pragma unroll
    for (int i = 0; i < FOURS; i++) {
        const Four at = four_of<SIZE, DEPTH>(lines_together, i);
        if (lines_together) {
            store_vec(&tile[at.step][at.line], v[i]);
        } else {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                tile[at.step + j][at.line] = v[i][j];
            }
        }
    }
}

// The R lines of a thread come as groups of four, 64 apart: the 16 threads beside each other read 256 contiguous bytes.
template <int R, int SIZE> DEVICE void read_lines(float (&v)[R], const float (&row)[SIZE], int thread) {
#pragma unroll
    for (int g = 0; g < R / 4; g++) {
        float four[4];
        load_vec(four, &row[g * 64 + thread * 4]);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v[g * 4 + i] = four[i];
        }
    }
}

template <int R, int DEPTH, int SIZE>
DEVICE void multiply(float (&sum)[R][R], const float (&a)[DEPTH][SIZE], const float (&b)[DEPTH][SIZE]) {
#pragma unroll
    for (int step = 0; step < DEPTH; step++) {
        float x[R];
        float y[R];
        read_lines(x, a[step], threadIdx.x / 16);
        read_lines(y, b[step], threadIdx.x % 16);
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int j = 0; j < R; j++) {
                sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
            }
        }
    }
}

// Where sum[i][j] of this thread belongs in the result.
template <int R> DEVICE int row_of(Tile tile, int i) {
    return tile.row * R * 16 + threadIdx.x / 16 * 4 + i / 4 * 64 + i % 4;
}

template <int R> DEVICE int column_of(Tile tile, int j) {
    return tile.column * R * 16 + threadIdx.x % 16 * 4 + j / 4 * 64 + j % 4;
}

template <class T, int R> DEVICE void put_out_simt(const Result<T>& r, int split, Tile tile, float (&sum)[R][R]) {
    const bool vector = rows_aligned(r);
    const int row0 = row_of<R>(tile, 0);
    const int column0 = column_of<R>(tile, 0);
    // The epilogue stands once in the code; which sums it takes is a branch, since registers have no index.
#pragma unroll 1
    for (int part = 0; part < R * R / 4; part++) {
        float four[4] = {};
#pragma unroll
        for (int p = 0; p < R * R / 4; p++) {
            if (p == part) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    four[j] = sum[p / (R / 4)][p % (R / 4) * 4 + j];
                }
            }
        }
        const int row = part / (R / 4);
        finish(r, split, row0 + row / 4 * 64 + row % 4, column0 + part % (R / 4) * 64, four, vector);
    }
}

template <int R> constexpr int SIMT_SIZE = 16 * R; // of a tile
template <int R> constexpr int SIMT_DEPTH = 64 / R; // steps of the inner dimension at a time

// sum += a b over the steps of `span`; `after(i)` follows each step.
template <int R, class A, class B, class After>
DEVICE void multiply_span(float (&sum)[R][R], const A& a, const B& b, Tile tile, Span span, After after) {
    constexpr int SIZE = SIMT_SIZE<R>;
    constexpr int DEPTH = SIMT_DEPTH<R>;
    constexpr int FOURS = SIZE * DEPTH / 4 / SIMT_THREADS;
    DYN_SMEM(shared, 16);
    using Stage = float[DEPTH][SIZE + PAD];
    Stage* a_tile = reinterpret_cast<Stage*>(shared);
    Stage* b_tile = a_tile + 2;
    float a_next[FOURS][4];
    float b_next[FOURS][4];
    if (span.from < span.to) {
        fetch<SIZE, DEPTH>(a_next, a, tile.row * SIZE, span.from * DEPTH);
        fetch<SIZE, DEPTH>(b_next, b, tile.column * SIZE, span.from * DEPTH);
        keep<SIZE, DEPTH>(a_tile[0], a_next, a.lines_together);
        keep<SIZE, DEPTH>(b_tile[0], b_next, b.lines_together);
    }
    __syncthreads();
    for (int i = span.from; i < span.to; i++) {
        const int now = (i - span.from) & 1;
        const bool more = i + 1 < span.to;
        if (more) { // in flight while this tile is multiplied
            fetch<SIZE, DEPTH>(a_next, a, tile.row * SIZE, (i + 1) * DEPTH);
            fetch<SIZE, DEPTH>(b_next, b, tile.column * SIZE, (i + 1) * DEPTH);
        }
        multiply(sum, a_tile[now], b_tile[now]);
        after(i);
        if (more) {
            keep<SIZE, DEPTH>(a_tile[now ^ 1], a_next, a.lines_together);
            keep<SIZE, DEPTH>(b_tile[now ^ 1], b_next, b.lines_together);
        }
        __syncthreads();
    }
}

} // namespace gemm
