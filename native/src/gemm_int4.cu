// Products of activations with frozen weights of 4 bits in groups of a row, x w^T. A weight becomes a float in the
// register of the lane that multiplies it, and reaches that lane as it lies in memory: no matrix in another order, no
// transposition in shared memory.
//
// mma.sync wants of a lane elements 2 t, 2 t + 1, 2 t + 8 and 2 t + 9 of the inner dimension. But a sum has no order:
// where both operands have the same element in the same place, the product is the same. So a lane takes 8 neighbours of a
// row for two products, which are one word of weights, and of x 16 bytes.
#include "gemm_mma.cuh"
#include "ptx_packed.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;

constexpr int THREADS = 128;
constexpr int WIDTH = 128;  // columns of a tile
constexpr int COLUMNS = 32; // of a warp
constexpr int DEPTH = 64;   // steps per stage
constexpr int RUN = 32;     // weights of 16 bytes: neighbours of a row, in one group
constexpr int PITCH = 48;   // bytes between rows of weights: the 16 that 8 rows are read in lie in different banks
constexpr uint32_t CODES = WIDTH * PITCH;
constexpr uint32_t RUNS = WIDTH * DEPTH / RUN * 4; // a word for each run: its scale, or its zero

template <int HEIGHT> constexpr int STAGES = HEIGHT == 64 ? 4 : 5;
template <int HEIGHT> constexpr uint32_t STAGE = HEIGHT * DEPTH * 2 + CODES + 2 * RUNS;

// The weights [rows, columns]; rows are columns of the result.
struct Weights {
    const uint8_t* values;
    const float* scales;
    const int8_t* zeros; // null: all are 0
    int group;
    int across; // groups side by side
    int rows;
    int columns;
};

// Where 8 steps of a row of x lie in a stage: rows of 128 bytes, the halves of every other one exchanged, so that the 8
// lanes that read 16 bytes at once, 4 of each of two rows, meet all banks.
DEVICE uint32_t place(int row, int chunk) { return row * (DEPTH * 2) + ((chunk ^ (row & 1) << 2) << 4); }

// Starts copying the stage at `step`; zeros outside. Two threads have a sector of a row of weights.
template <class T, int HEIGHT>
DEVICE void copy(unsigned char* stage, const T* x, int m, int row0, const Weights& w, int column0, int step) {
    const uint32_t base = ptx::shared_address(stage);
    const int chunk = threadIdx.x % 8;
#pragma unroll
    for (int i = 0; i < HEIGHT / 16; i++) {
        const int row = threadIdx.x / 8 + i * 16;
        const bool in = row0 + row < m && step + chunk * 8 < w.columns;
        const T* from = in ? x + int64_t(row0 + row) * w.columns + step + chunk * 8 : x;
        ptx::cp_async16(base + place(row, chunk), from, in ? 16 : 0);
    }
    const int half = threadIdx.x % 2;
    const int column = step + half * RUN;
    const int group = column / w.group;
    const uint32_t codes = HEIGHT * DEPTH * 2;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int line = threadIdx.x / 2 + i * 64;
        const int row = column0 + line;
        const bool in = row < w.rows && column < w.columns;
        const int64_t at = in ? int64_t(row) * w.columns + column : 0;
        const int64_t block = in ? int64_t(row) * w.across + group : 0;
        const uint32_t run = codes + CODES + (half * WIDTH + line) * 4;
        ptx::cp_async16(base + codes + line * PITCH + half * 16, w.values + at / 2, in ? 16 : 0);
        ptx::cp_async4(base + run, w.scales + block, in ? 4 : 0);
        if (w.zeros) {
            const float zero = -float(w.zeros[block]);
            *reinterpret_cast<uint32_t*>(stage + run + RUNS) = pack2(zero, zero, T{});
        }
    }
}

DEVICE uint32_t add2(uint32_t x, uint32_t y, bf16) { return ptx::add_bf16x2(x, y); }
DEVICE uint32_t add2(uint32_t x, uint32_t y, f16) { return ptx::add_f16x2(x, y); }

// Twice 136 = 128 + 8, or 1032 = 1024 + 8: the last bits of the fractions of such floats count ones.
template <class T> constexpr uint32_t OFFSET = 0x43084308;
template <> constexpr uint32_t OFFSET<f16> = 0x64086408;

// The elements i and i + 4 of a word of weights, for each i. Exclusive or with 8 makes a code its value + 8, which
// stands in the fraction of a float that is 1024 or 128 larger: no conversion, nothing is rounded.
template <class T> DEVICE void widen(uint32_t (&pairs)[4], uint32_t codes) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        pairs[i] = add2((codes >> 4 * i & 0x000f000f) ^ OFFSET<T>, OFFSET<T> ^ 0x80008000, T{});
    }
}

// 16 rows of x from `row` on, 32 steps, for two products each: likewise elements i and i + 4 of a lane's 8.
DEVICE void load_x(uint32_t (&a)[2][4], const unsigned char* tile, int row, int half) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const uint4 v = ptx::ld128(tile + place(row + r * 8 + lane / 4, half * 4 + lane % 4));
        a[0][r] = (v.x & 0xffff) | v.z << 16;
        a[0][r + 2] = v.x >> 16 | (v.z & 0xffff0000);
        a[1][r] = (v.y & 0xffff) | v.w << 16;
        a[1][r + 2] = v.y >> 16 | (v.w & 0xffff0000);
    }
}

// sum += x w^T of one half of a stage, of this warp's columns.
template <class T, int HEIGHT>
DEVICE void multiply(float (&sum)[HEIGHT / 16][COLUMNS / 8][4], const unsigned char* stage, int half, bool shifted) {
    const int lane = threadIdx.x % 32;
    const int first = threadIdx.x / 32 * COLUMNS;
    const unsigned char* codes = stage + HEIGHT * DEPTH * 2;
    const unsigned char* runs = codes + CODES + half * WIDTH * 4;
    uint32_t a[HEIGHT / 16][2][4];
#pragma unroll
    for (int y = 0; y < HEIGHT / 16; y++) {
        load_x(a[y], stage, y * 16, half);
    }
#pragma unroll
    for (int x = 0; x < COLUMNS / 8; x++) {
        const int line = first + x * 8 + lane / 4;
        uint32_t b[4];
        widen<T>(b, *reinterpret_cast<const uint32_t*>(codes + line * PITCH + half * 16 + lane % 4 * 4));
        if (shifted) {
            const uint32_t zero = *reinterpret_cast<const uint32_t*>(runs + RUNS + line * 4);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                b[i] = add2(b[i], zero, T{});
            }
        }
        const float2 scale = *reinterpret_cast<const float2*>(runs + (first + x * 8 + lane % 4 * 2) * 4);
#pragma unroll
        for (int y = 0; y < HEIGHT / 16; y++) {
            float part[4] = {};
            gemm::times(part, a[y][0], b[0], b[1], T{});
            gemm::times(part, a[y][1], b[2], b[3], T{});
#pragma unroll
            for (int e = 0; e < 4; e++) {
                sum[y][x][e] = fmaf(part[e], e % 2 ? scale.y : scale.x, sum[y][x][e]);
            }
        }
    }
}

// gemm_int4: out = x w^T + beta out, then bias and gelu; BF16 or F16 with weights of 4 bits, scales of a group on F32 sums
// Bytes: m k s + n k / 2 + m n s, weights in whole sectors, once for every row of tiles
// Operations: 2 m n k; beside them some 190 instructions for 32 x 32 weights and 16 rows of a warp, 240 for 32 rows,
//       counted in the code for sm_90a: 44 make floats of the weights, 24 take x, and most of the others copy
// Roofline: memory up to m of some 64, where it is 1/4 of what BF16 weights take; tensor cores beyond. At 16 rows four warps
//       issue the instructions of 32 steps of a tile in 190 clocks, its 2 KiB come from memory in 100
// Tile: 16, 32 or 64 x 128 x 64 by 4 warps of 32 columns; a weight is made a float once in a tile. A stage has 4 KiB of
//       weights, 32 bytes of each row, which is a sector; four of each of four blocks, of three at 32 rows, are more
//       than the 36 KiB that a multiprocessor of an H200 needs in flight. At 64 rows, which tensor cores bound, two
//       blocks have registers enough
template <class T, int HEIGHT>
__device__ void gemm_int4(const Result<T>& r, const T* x, const Weights& w, int splits) {
    DYN_SMEM(shared, 128);
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, HEIGHT), gemm::ceil_div(r.n, WIDTH));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(w.columns, DEPTH));
    auto stage_of = [&](int i) { return shared + uint32_t(i - span.from) % STAGES<HEIGHT> * STAGE<HEIGHT>; };
    auto fetch = [&](int i) {
        if (i < span.to) {
            copy<T, HEIGHT>(stage_of(i), x, r.m, tile.row * HEIGHT, w, tile.column * WIDTH, i * DEPTH);
        }
        ptx::cp_async_commit(); // also when empty: the wait below counts groups
    };
#pragma unroll
    for (int s = 0; s < STAGES<HEIGHT> - 1; s++) {
        fetch(span.from + s);
    }
    float sum[HEIGHT / 16][COLUMNS / 8][4] = {};
    for (int i = span.from; i < span.to; i++) {
        ptx::cp_async_wait<STAGES<HEIGHT> - 2>();
        __syncthreads(); // this stage is there for all, and all have left the one before it
        fetch(i + STAGES<HEIGHT> - 1);
        multiply<T, HEIGHT>(sum, stage_of(i), 0, w.zeros != nullptr);
        multiply<T, HEIGHT>(sum, stage_of(i), 1, w.zeros != nullptr);
    }
    ptx::cp_async_wait<0>();
    __syncthreads(); // the stages become those of the result
    const int warp = threadIdx.x / 32;
    float* stage = reinterpret_cast<float*>(shared + warp * gemm::STAGE_BYTES<COLUMNS>);
    const gemm::Place at = {tile.row * HEIGHT, tile.column * WIDTH + warp * COLUMNS, 16, 0};
    gemm::put_out<T, COLUMNS, HEIGHT / 16>(r, blockIdx.y, at, stage, [&](int y, int j, int e) { return sum[y][j][e]; });
}

} // namespace

// The parameters are those of gemm_weights_mma.
#define GEMM_INT4(T, HEIGHT, BLOCKS)                                                                                   \
    KERNEL(gemm_int4_##HEIGHT##_##T, BOUNDS(THREADS, BLOCKS),                                                          \
           (void* out, const T* bias, T* pre, float* partial, int m, int n, int flags, const T* x,                     \
            const uint8_t* values, const float* scales, const int8_t* zeros, int group, int across, int, int rows,     \
            int columns, int, int, int splits),                                                                        \
           (gemm_int4<T, HEIGHT>(Result<T>{out, bias, pre, partial, m, n, flags}, x,                                   \
                                 Weights{values, scales, zeros, group, across, rows, columns}, splits)))

GEMM_INT4(bf16, 16, 4)
GEMM_INT4(bf16, 32, 3)
GEMM_INT4(bf16, 64, 2)
GEMM_INT4(f16, 16, 4)
GEMM_INT4(f16, 32, 3)
GEMM_INT4(f16, 64, 2)
