// Matrix products on the ordinary arithmetic units: F32 operands (the contract asks for exact products, so not TF32), and
// the BF16 and F16 shapes whose rows do not start on 16-byte boundaries, which the tensor-core kernels cannot load.
#include "gemm.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;

constexpr int THREADS = 256; // 16 x 16, each with R x R sums
constexpr int PAD = 4;       // floats: rows stay 16-byte aligned, and transposing stores conflict two ways instead of eight

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
    gemm::load_row(v, p, in && x.vector && along < along_end, in ? along_end - along : 0);
}

// The place in the tile of the `i`-th group of four of this thread.
struct Place {
    int line;
    int step;
};

template <int SIZE, int DEPTH> DEVICE Place place_of(bool lines_together, int i) {
    const int four = threadIdx.x + i * THREADS;
    if (lines_together) {
        return {four % (SIZE / 4) * 4, four / (SIZE / 4)};
    }
    return {four / (DEPTH / 4), four % (DEPTH / 4) * 4};
}

template <int SIZE, int DEPTH, class T, int FOURS>
DEVICE void fetch(float (&v)[FOURS][4], const Operand<T>& x, int line0, int step0) {
#pragma unroll
    for (int i = 0; i < FOURS; i++) {
        const Place at = place_of<SIZE, DEPTH>(x.lines_together, i);
        load_four(v[i], x, line0 + at.line, step0 + at.step);
    }
}

template <int SIZE, int DEPTH, int FOURS>
DEVICE void keep(float (&tile)[DEPTH][SIZE + PAD], const float (&v)[FOURS][4], bool lines_together) {
#pragma unroll
    for (int i = 0; i < FOURS; i++) {
        const Place at = place_of<SIZE, DEPTH>(lines_together, i);
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

template <class T, int R> DEVICE void put_out(const Result<T>& r, int split, Tile tile, float (&sum)[R][R]) {
    const bool vector = gemm::rows_aligned(r);
    const int row0 = tile.row * R * 16 + threadIdx.x / 16 * 4;
    const int column0 = tile.column * R * 16 + threadIdx.x % 16 * 4;
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
        gemm::finish(r, split, row0 + row / 4 * 64 + row % 4, column0 + part % (R / 4) * 64, four, vector);
    }
}

// gemm_simt: out = op(a) op(b) + beta out, then bias and gelu; fp32 multiply-add, any shape, any alignment
// Bytes: (m k + k n + m n) s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: fp32 units; a 128-tile does 32 FLOP per byte it loads, past the 14 that 67 TFLOP/s and 4.8 TB/s ask for
// Tile: 128 x 128 x 8 by 256 threads of 8 x 8 sums (64 multiply-adds per 16 floats read from shared memory), two
//       buffers; 8 deep and not 16, or the next tile's registers spill at two blocks per multiprocessor;
//       64 x 64 x 16 with 4 x 4 sums where 128-tiles would leave multiprocessors idle
template <class T, int R>
__device__ void gemm_simt(const Result<T>& r, const T* a_data, const T* b_data, int k, int splits) {
    constexpr int SIZE = 16 * R;
    constexpr int DEPTH = 64 / R;
    constexpr int FOURS = SIZE * DEPTH / 4 / THREADS;
    DYN_SMEM(shared, 16);
    using Stage = float[DEPTH][SIZE + PAD];
    Stage* a_tile = reinterpret_cast<Stage*>(shared);
    Stage* b_tile = a_tile + 2;
    const Operand<T> a = operand_of(a_data, r.m, k, (r.flags & gemm::TRANS_A) != 0);
    const Operand<T> b = operand_of(b_data, r.n, k, (r.flags & gemm::TRANS_B) == 0);
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, SIZE), gemm::ceil_div(r.n, SIZE));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(k, DEPTH));

    float sum[R][R] = {};
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
        if (more) {
            keep<SIZE, DEPTH>(a_tile[now ^ 1], a_next, a.lines_together);
            keep<SIZE, DEPTH>(b_tile[now ^ 1], b_next, b.lines_together);
        }
        __syncthreads();
    }
    put_out(r, blockIdx.y, tile, sum);
}

// gemm_finish: out = sum over splits of partial + beta out, then bias and gelu
// Bytes: (4 splits + s) m n
// Operations: splits m n
// Roofline: memory; the partial sums mostly still lie in L2
// Tile: 256 threads, 4 neighbours of one row per thread and turn; splits are added in order, so runs repeat bit for bit
template <class T> __device__ void gemm_finish(const Result<T>& r, const float* partial, int splits) {
    const bool vector = gemm::rows_aligned(r);
    const bool partial_vector = r.n % 4 == 0;
    const int per_row = gemm::ceil_div(r.n, 4);
    const int64_t fours = int64_t(r.m) * per_row;
    const int64_t stride = int64_t(gridDim.x) * blockDim.x;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < fours; i += stride) {
        const int row = int(i / per_row);
        const int column = int(i % per_row) * 4;
        const int64_t at = int64_t(row) * r.n + column;
        float sum[4] = {};
        for (int s = 0; s < splits; s++) {
            float part[4];
            gemm::load_row(part, partial + int64_t(s) * r.m * r.n + at, partial_vector, r.n - column);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                sum[j] += part[j];
            }
        }
        gemm::finish(r, 0, row, column, sum, vector);
    }
}

} // namespace

#define GEMM_SIMT(NAME, T, R, BLOCKS)                                                                                  \
    KERNEL(NAME, BOUNDS(THREADS, BLOCKS),                                                                              \
           (void* out, const T* bias, T* pre, float* partial, int m, int n, int flags, const T* a, const T* b, int k,  \
            int splits),                                                                                               \
           (gemm_simt<T, R>(Result<T>{out, bias, pre, partial, m, n, flags}, a, b, k, splits)))

// The odd shapes of BF16 and F16 are small or rare: one tile is enough for them.
GEMM_SIMT(gemm_simt_128_f32, float, 8, 2)
GEMM_SIMT(gemm_simt_64_f32, float, 4, 3)
GEMM_SIMT(gemm_simt_64_bf16, bf16, 4, 3)
GEMM_SIMT(gemm_simt_64_f16, f16, 4, 3)

#define GEMM_FINISH(NAME, T)                                                                                           \
    KERNEL(NAME, THREADS,                                                                                              \
           (void* out, const T* bias, T* pre, const float* partial, int m, int n, int flags, int splits),              \
           (gemm_finish<T>(Result<T>{out, bias, pre, nullptr, m, n, flags}, partial, splits)))

GEMM_FINISH(gemm_finish_f32, float)
GEMM_FINISH(gemm_finish_bf16, bf16)
GEMM_FINISH(gemm_finish_f16, f16)
