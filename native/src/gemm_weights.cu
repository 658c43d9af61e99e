// Products of activations with frozen weights of 4 or 8 bits in groups of a row: out = x w^T, or out = x w for the
// gradient of x. The weights are made floats on their way into shared memory.
#include "gemm_mma.cuh"
#include "gemm_simt.cuh"
#include "scaled.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;

// The weights [rows, columns] as b: its lines are rows where the product is with w^T, else columns.
struct Weights {
    const uint8_t* values;
    const float* scales;
    const int8_t* zeros; // null: all are 0
    Blocks blocks;
    int type;
    int rows;
    int columns;
    bool lines_together;
    bool vector;

    DEVICE float zero(int64_t block) const { return zeros ? float(zeros[block]) : 0.f; }
};

// ---- ordinary units

DEVICE void load_four(float (&v)[4], const Weights& w, int line, int step) {
    const int row = w.lines_together ? step : line;
    const int column = w.lines_together ? line : step;
    const int count = row < w.rows ? min(w.columns - column, 4) : 0;
    const uint64_t codes =
        count > 0 ? load_codes<4>(w.values, int64_t(row) * w.columns + column, w.type, w.vector, count) : 0;
    widen(v, codes, w.type);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (i < count) {
            const int64_t block = w.blocks.at(row, column + i);
            v[i] = (v[i] - w.zero(block)) * w.scales[block];
        }
    }
}

// gemm_weights_simt: out = x w^T or x w, + beta out, then bias and gelu; w of 4 or 8 bits, any shape, any alignment
// Bytes: m k s + n k / 2 + m n s, each stripe of x and w read once per row and column of tiles, mostly from L2
// Operations: 2 m n k, and some 40 per weight and row of tiles to find its scale
// Roofline: fp32 units
// Tile: 64 x 64 x 16 by 256 threads of 4 x 4 sums, as gemm_simt
template <class T>
__device__ void gemm_weights_simt(const Result<T>& r, const T* x, const Weights& w, int k, int splits) {
    constexpr int R = 4;
    const int size = gemm::SIMT_SIZE<R>;
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, size), gemm::ceil_div(r.n, size));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(k, gemm::SIMT_DEPTH<R>));
    float sum[R][R] = {};
    gemm::multiply_span(sum, gemm::operand_of(x, r.m, k, false), w, tile, span, [](int) {});
    gemm::put_out_simt(r, blockIdx.y, tile, sum);
}

// ---- tensor cores

constexpr int THREADS = 128;
constexpr int WIDTH = 128;
constexpr int STAGES = 6;
constexpr int RUN = 32; // weights of a thread in a stage: neighbours of a row, in one group
constexpr uint32_t RAW_BYTES = THREADS * RUN;
constexpr uint32_t STAGED_SCALES = THREADS * 4;
constexpr uint32_t B_TILE = gemm::TILE_BYTES<WIDTH>;

template <int HEIGHT> constexpr uint32_t A_TILE = gemm::TILE_BYTES<HEIGHT>;

// One tile of weights after another, as a thread sees it: it copies RUN of them with their scale, and makes floats of
// what it has copied itself, so that no barrier is needed between the two.
template <class T, bool LINES_TOGETHER> class Run {
    const Weights& w;
    unsigned char* raw;
    float* scales;
    int row;
    int column;

public:
    DEVICE Run(const Weights& w, unsigned char* raw, unsigned char* scales, int line0)
        : w(w), raw(raw + threadIdx.x * 16), scales(reinterpret_cast<float*>(scales) + threadIdx.x),
          row(LINES_TOGETHER ? threadIdx.x / (WIDTH / RUN) : line0 + threadIdx.x),
          column(LINES_TOGETHER ? line0 + threadIdx.x % (WIDTH / RUN) * RUN : 0) {}

    // Starts copying the weights of the stage at `step`; zeros outside.
    DEVICE void copy(int stage, int step) const {
        const int at_row = LINES_TOGETHER ? row + step : row;
        const int at_column = LINES_TOGETHER ? column : column + step;
        const bool in = at_row < w.rows && at_column < w.columns;
        const int64_t at = in ? int64_t(at_row) * w.columns + at_column : 0;
        const uint8_t* from = w.values + (w.type == I4 ? at / 2 : at);
        const uint32_t to = ptx::shared_address(raw) + stage * RAW_BYTES;
        ptx::cp_async16(to, from, in ? 16 : 0);
        if (w.type == I8) {
            ptx::cp_async16(to + RAW_BYTES / 2, from + (in ? 16 : 0), in ? 16 : 0);
        }
        const int64_t block = in ? w.blocks.at(at_row, at_column) : 0;
        ptx::cp_async4(ptx::shared_address(scales) + stage * STAGED_SCALES, w.scales + block, in ? 4 : 0);
    }

    // The scales of the stage's lines.
    DEVICE const float* scales_of(int stage) const { return scales - threadIdx.x + stage * THREADS; }

    // The same weights into a tile of shared memory, after waiting for them.
    DEVICE void widen_into(unsigned char* tile, int stage, int step) const {
        using L = gemm::Layout<WIDTH, LINES_TOGETHER>;
        const int at_row = LINES_TOGETHER ? row + step : row;
        const int at_column = LINES_TOGETHER ? column : column + step;
        const bool shifted = w.zeros && at_row < w.rows && at_column < w.columns;
        const float zero = shifted ? w.zero(w.blocks.at(at_row, at_column)) : 0.f;
        const float scale = LINES_TOGETHER ? scales[stage * THREADS] : 1.f; // else on the sums
        const unsigned char* from = raw + stage * RAW_BYTES;
        const uint4 first = ptx::ld128(from);
        const uint4 second = w.type == I8 ? ptx::ld128(from + RAW_BYTES / 2) : make_uint4(0, 0, 0, 0);
        const uint32_t words[8] = {first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w};
#pragma unroll
        for (int c = 0; c < RUN / 8; c++) {
            float v[8];
            if (w.type == I4) {
                widen(v, words[c], I4);
            } else {
                widen(v, uint64_t(words[2 * c + 1]) << 32 | words[2 * c], I8);
            }
#pragma unroll
            for (int i = 0; i < 8; i++) {
                v[i] = (v[i] - zero) * scale;
            }
            const uint32_t at = LINES_TOGETHER
                                    ? L::place(threadIdx.x / (WIDTH / RUN), threadIdx.x % (WIDTH / RUN) * (RUN / 8) + c)
                                    : L::place(threadIdx.x, c);
            Chunk<T, 8>::narrow(v).store(reinterpret_cast<T*>(tile + at));
        }
    }
};

// sum += part, times the scales of its columns.
template <int ROWS, int COLUMNS>
DEVICE void add_scaled(float (&sum)[ROWS][COLUMNS][4], const float (&part)[ROWS][COLUMNS][4], const float* scales) {
#pragma unroll
    for (int x = 0; x < COLUMNS; x++) {
        const float* pair = scales + x * 8 + threadIdx.x % 4 * 2;
        const float scale[2] = {pair[0], pair[1]};
#pragma unroll
        for (int y = 0; y < ROWS; y++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                sum[y][x][e] = fmaf(part[y][x][e], scale[e % 2], sum[y][x][e]);
            }
        }
    }
}

// gemm_weights_mma: out = x w^T (or x w), + beta out, then bias and gelu; BF16 or F16 with weights of 4 or 8 bits
// Bytes: m k s + n k / 2 + m n s; weights again, from L2, for every further row of tiles
// Operations: 2 m n k, and ~4 per weight and row of tiles to make it a float
// Roofline: memory up to m of some 64, where it is 1/4 of what BF16 weights take; tensor cores beyond
// Tile: 32 or 64 x 128 x 32 by 4 warps; a stage of 32 steps is 2 KiB of 4-bit weights, and six stages for each of three
//       blocks or four are the 36 KiB that a multiprocessor of an H200 needs in flight. A thread has 32 neighbours:
//       one 16-byte copy and one scale, since groups are multiples of 32. Tiles of floats are double-buffered, so that one
//       barrier per stage does. Times w^T a stage's steps are of one group: the weights stay integers, which 16 bits
//       hold exactly, and the scale goes on the F32 sums. Times w each step has a scale of its own, on the weights
template <class T, int HEIGHT, bool TRANSPOSED>
__device__ void gemm_weights_mma(const Result<T>& r, const T* x, const Weights& w, int k, int splits) {
    constexpr int H = 32;
    constexpr int W = HEIGHT == 32 ? 32 : 64;
    constexpr uint32_t B_AT = STAGES * A_TILE<HEIGHT>;
    constexpr uint32_t RAW_AT = B_AT + 2 * B_TILE;
    constexpr uint32_t SCALES_AT = RAW_AT + STAGES * RAW_BYTES;
    using A = gemm::Layout<HEIGHT, false>;
    using B = gemm::Layout<WIDTH, !TRANSPOSED>;
    DYN_SMEM(shared, 128);
    const uint32_t base = ptx::shared_address(shared);
    const int warp = threadIdx.x / 32;
    const int row = warp / (WIDTH / W) * H;
    const int column = warp % (WIDTH / W) * W;
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, HEIGHT), gemm::ceil_div(r.n, WIDTH));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(k, gemm::DEPTH));
    const gemm::Source<T, HEIGHT, false, THREADS> a(x, r.m, k, tile.row * HEIGHT);
    const Run<T, !TRANSPOSED> run(w, shared + RAW_AT, shared + SCALES_AT, tile.column * WIDTH);
    auto fetch = [&](int i) {
        if (i < span.to) {
            const int stage = (i - span.from) % STAGES;
            a.copy(base + stage * A_TILE<HEIGHT>, i * gemm::DEPTH);
            run.copy(stage, i * gemm::DEPTH);
        }
        ptx::cp_async_commit(); // also when empty: the wait below counts groups
    };
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        fetch(span.from + s);
    }
    using Sums = float[H / 16][W / 8][4];
    Sums sum = {};
    for (int i = span.from; i < span.to; i++) {
        const int stage = (i - span.from) % STAGES;
        const uint32_t b_at = B_AT + (i & 1) * B_TILE;
        ptx::cp_async_wait<STAGES - 2>();
        run.widen_into(shared + b_at, stage, i * gemm::DEPTH);
        __syncthreads(); // both tiles are there for all, and all have left the ones before
        fetch(i + STAGES - 1);
        auto multiply = [&](Sums& into) {
#pragma unroll
            for (int step = 0; step < gemm::DEPTH; step += 16) {
                gemm::Fragments<H, W> f;
                f.template load<A, B>(base + stage * A_TILE<HEIGHT>, base + b_at, row, column, step);
                gemm::multiply(into, f,
                               [](auto& d, auto& a, uint32_t b0, uint32_t b1) { gemm::times(d, a, b0, b1, T{}); });
            }
        };
        if constexpr (TRANSPOSED) {
            Sums part = {};
            multiply(part);
            add_scaled(sum, part, run.scales_of(stage) + column);
        } else {
            multiply(sum);
        }
    }
    ptx::cp_async_wait<0>();
    __syncthreads(); // the tiles become stages of the result
    float* stage = reinterpret_cast<float*>(shared + warp * gemm::STAGE_BYTES<W>);
    const gemm::Place at = {tile.row * HEIGHT + row, tile.column * WIDTH + column, 16, 0};
    gemm::put_out<T, W, H / 16>(r, blockIdx.y, at, stage, [&](int y, int j, int e) { return sum[y][j][e]; });
}

} // namespace

#define GEMM_WEIGHTS(NAME, THREADS, BLOCKS, T, CALL)                                                                   \
    KERNEL(NAME, BOUNDS(THREADS, BLOCKS),                                                                              \
           (void* out, const T* bias, T* pre, float* partial, int m, int n, int flags, const T* x,                     \
            const uint8_t* values, const float* scales, const int8_t* zeros, int group, int across, int type, int rows,\
            int columns, int transposed, int k, int splits),                                                           \
           (CALL(Result<T>{out, bias, pre, partial, m, n, flags}, x,                                                   \
                 Weights{values, scales, zeros, Blocks{1, group, across}, type, rows, columns, transposed == 0,        \
                         steps_aligned<4>(values, columns)},                                                           \
                 k, splits)))

GEMM_WEIGHTS(gemm_weights_simt_f32, gemm::SIMT_THREADS, 2, float, gemm_weights_simt<float>)
GEMM_WEIGHTS(gemm_weights_simt_bf16, gemm::SIMT_THREADS, 2, bf16, gemm_weights_simt<bf16>)
GEMM_WEIGHTS(gemm_weights_simt_f16, gemm::SIMT_THREADS, 2, f16, gemm_weights_simt<f16>)

#define GEMM_WEIGHTS_TYPE(T)                                                                                           \
    GEMM_WEIGHTS(gemm_weights_mma_32_n_##T, THREADS, 4, T, (gemm_weights_mma<T, 32, false>))                           \
    GEMM_WEIGHTS(gemm_weights_mma_32_t_##T, THREADS, 4, T, (gemm_weights_mma<T, 32, true>))                            \
    GEMM_WEIGHTS(gemm_weights_mma_64_n_##T, THREADS, 3, T, (gemm_weights_mma<T, 64, false>))                           \
    GEMM_WEIGHTS(gemm_weights_mma_64_t_##T, THREADS, 3, T, (gemm_weights_mma<T, 64, true>))

GEMM_WEIGHTS_TYPE(bf16)
GEMM_WEIGHTS_TYPE(f16)
