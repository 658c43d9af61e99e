// Products of matrices in low precision, out = a b^T, with scales: on the ordinary units for any shape, alignment and
// architecture, and by mma.sync for 8-bit floats from sm_89 on and 8-bit integers from sm_80 on. Tensor cores sum 8-bit
// floats with fewer bits than F32 has (Hopper some 14), so every BLOCK steps their sums go on to F32 registers.
#include "gemm_mma.cuh"
#include "gemm_scaled.cuh"
#include "gemm_simt.cuh"

namespace {

using gemm::Result;
using gemm::Scaled;
using gemm::Span;
using gemm::Tile;

// The part of a split in steps of `depth`, from block to block.
DEVICE Span steps_of(int split, int splits, int k, int depth) {
    const Span blocks = gemm::span_of(split, splits, gemm::ceil_div(k, gemm::BLOCK));
    const int per_block = gemm::BLOCK / depth;
    return {blocks.from * per_block, min(blocks.to * per_block, gemm::ceil_div(k, depth))};
}

// ---- ordinary units

// An operand for gemm::multiply_span, without its scales.
struct Codes {
    Scaled matrix;
    int steps;
    bool vector;
    static constexpr bool lines_together = false;
};

DEVICE Codes codes_of(const Scaled& x, int k) { return {x, k, steps_aligned<4>(x.values, k)}; }

DEVICE void load_four(float (&v)[4], const Codes& x, int line, int step) {
    const int count = line < x.matrix.lines ? min(x.steps - step, 4) : 0;
    const int64_t at = int64_t(line) * x.steps + step;
    widen(v, count > 0 ? load_codes<4>(x.matrix.values, at, x.matrix.type, x.vector, count) : 0, x.matrix.type);
}

// gemm_scaled_simt: out = a b^T + beta out, then bias and gelu; 8-bit floats or 8- or 4-bit integers with scales of
//       rows or of 128 of k
// Bytes: m k + k n + m n s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: fp32 units; a 64-tile does 32 operations per byte that it loads
// Tile: 64 x 64 x 16 by 256 threads of 4 x 4 sums, as gemm_simt. Sums of 128 products of integers are exact in F32; those
//       of more become I32
template <class T>
__device__ void gemm_scaled_simt(const Result<T>& r, const Scaled& a, const Scaled& b, int k, int splits) {
    constexpr int R = 4;
    constexpr int SIZE = gemm::SIMT_SIZE<R>;
    constexpr int STEPS = gemm::BLOCK / gemm::SIMT_DEPTH<R>;
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, SIZE), gemm::ceil_div(r.n, SIZE));
    const Span span = steps_of(blockIdx.y, splits, k, gemm::SIMT_DEPTH<R>);
    const bool integers = a.type == I8 || a.type == I4;
    const bool blocked = a.across > 1 || b.across > 1;
    float sum[R][R] = {};
    float total[R][R] = {}; // the bits of integers where nothing but the last scale is missing
    auto scaled = [&](float x, int i, int j, int block) {
        return x * a.scale(gemm::row_of<R>(tile, i), block) * b.scale(gemm::column_of<R>(tile, j), block);
    };
    gemm::multiply_span(sum, codes_of(a, k), codes_of(b, k), tile, span, [&](int step) {
        if (step % STEPS != STEPS - 1 && step + 1 != span.to) {
            return;
        }
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int j = 0; j < R; j++) {
                float& t = total[i][j];
                if (blocked) {
                    t += scaled(sum[i][j], i, j, step / STEPS);
                } else {
                    t = integers ? __int_as_float(__float_as_int(t) + int(sum[i][j])) : t + sum[i][j];
                }
                sum[i][j] = 0.f;
            }
        }
    });
    if (!blocked && k > 0) {
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int j = 0; j < R; j++) {
                const float t = total[i][j];
                total[i][j] = scaled(integers ? float(__float_as_int(t)) : t, i, j, 0);
            }
        }
    }
    gemm::put_out_simt(r, blockIdx.y, tile, total);
}

// ---- tensor cores

constexpr int SIZE = 128;
constexpr int THREADS = 256; // 2 x 4 warps
constexpr int H = 64;        // of a warp
constexpr int W = 32;
constexpr int STAGES = 4;
constexpr int DEPTH = 2 * gemm::DEPTH; // 8-bit steps per stage

using Sums = float[H / 16][W / 8][4];

// sum += a b of one stage, by the instruction for the two types; integers in the bits of the sums.
DEVICE void multiply(Sums& sum, uint32_t a_tile, uint32_t b_tile, int row, int column, int type_a, int type_b) {
    using L = gemm::Layout<SIZE, false>;
    auto all = [&](auto times) {
#pragma unroll 1 // or the fragments of both halves, which an sm_90 widens to 16 bits, do not fit beside the sums
        for (int step = 0; step < gemm::DEPTH; step += 16) {
            gemm::Fragments<H, W> f;
            f.template load<L, L>(a_tile, b_tile, row, column, step);
            gemm::multiply(sum, f, times);
        }
    };
    if (type_a == I8) {
        all([](auto& d, auto& a, uint32_t b0, uint32_t b1) {
            int bits[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                bits[i] = __float_as_int(d[i]);
            }
            ptx::mma_s8(bits, a, b0, b1);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                d[i] = __int_as_float(bits[i]);
            }
        });
        return;
    }
#if SM89_CODE
    if (type_a == E4M3 && type_b == E4M3) {
        all([](auto& d, auto& a, uint32_t b0, uint32_t b1) { ptx::mma_e4m3(d, a, b0, b1); });
    } else if (type_a == E4M3) {
        all([](auto& d, auto& a, uint32_t b0, uint32_t b1) { ptx::mma_e4m3_e5m2(d, a, b0, b1); });
    } else if (type_b == E4M3) {
        all([](auto& d, auto& a, uint32_t b0, uint32_t b1) { ptx::mma_e5m2_e4m3(d, a, b0, b1); });
    } else {
        all([](auto& d, auto& a, uint32_t b0, uint32_t b1) { ptx::mma_e5m2(d, a, b0, b1); });
    }
#endif
}

template <class F> DEVICE void each_sum(F f) {
#pragma unroll
    for (int y = 0; y < H / 16; y++) {
#pragma unroll
        for (int x = 0; x < W / 8; x++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                f(y, x, e);
            }
        }
    }
}

// gemm_scaled_mma: out = a b^T + beta out, then bias and gelu; 8-bit floats or integers, scales of rows or of 128 of k
// Bytes: m k + k n + m n s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: tensor cores once k is some hundreds; a 128-tile does 128 operations per byte it loads into shared memory
// Tile: 128 x 128 x 64 by 8 warps of 64 x 32: twice 64 registers for the sums of a block and of all, which at 64 x 64 per
//       warp would be all there are; 4 stages of 16 KiB. The copies of one stage arrive while others are multiplied, so
//       one block per multiprocessor is enough
template <class T>
__device__ void gemm_scaled_mma(const Result<T>& r, const Scaled& a, const Scaled& b, int k, int splits) {
    using Pairs = gemm::Source<uint16_t, SIZE, false, THREADS>;
    constexpr uint32_t TILE = gemm::TILE_BYTES<SIZE>;
    DYN_SMEM(shared, 128);
    const uint32_t a_tiles = ptx::shared_address(shared);
    const uint32_t b_tiles = a_tiles + STAGES * TILE;
    const int warp = threadIdx.x / 32;
    const int row = warp / 4 * H;
    const int column = warp % 4 * W;
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, SIZE), gemm::ceil_div(r.n, SIZE));
    const gemm::Place at = {tile.row * SIZE + row, tile.column * SIZE + column, 16, 0};
    const Span span = steps_of(blockIdx.y, splits, k, DEPTH);
    const Pairs a_source(reinterpret_cast<const uint16_t*>(a.values), r.m, k / 2, tile.row * SIZE);
    const Pairs b_source(reinterpret_cast<const uint16_t*>(b.values), r.n, k / 2, tile.column * SIZE);
    const bool blocked = a.across > 1 || b.across > 1;
    const bool integers = a.type == I8;
    auto fetch = [&](int i) {
        if (i < span.to) {
            const uint32_t stage = uint32_t(i - span.from) % STAGES * TILE;
            a_source.copy(a_tiles + stage, i * gemm::DEPTH);
            b_source.copy(b_tiles + stage, i * gemm::DEPTH);
        }
        ptx::cp_async_commit(); // also when empty: the wait below counts groups
    };
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        fetch(span.from + s);
    }
    Sums sum = {};
    Sums total = {};
    for (int i = span.from; i < span.to; i++) {
        ptx::cp_async_wait<STAGES - 2>();
        __syncthreads(); // this tile is there for all, and all have left the one before it
        fetch(i + STAGES - 1);
        const uint32_t stage = uint32_t(i - span.from) % STAGES * TILE;
        multiply(sum, a_tiles + stage, b_tiles + stage, row, column, a.type, b.type);
        const bool last = i + 1 == span.to;
        if (blocked && (i % 2 == 1 || last)) {
            const gemm::Factors<H / 8, W / 8> factors(a, b, at.row, at.column, i / 2);
            each_sum([&](int y, int x, int e) {
                const float s = integers ? float(__float_as_int(sum[y][x][e])) : sum[y][x][e];
                total[y][x][e] += factors.apply(s, y * 2 + e / 2, x, e % 2);
                sum[y][x][e] = 0.f;
            });
        } else if (!blocked && (last || (i % 2 == 1 && !integers))) {
            each_sum([&](int y, int x, int e) {
                total[y][x][e] += integers ? float(__float_as_int(sum[y][x][e])) : sum[y][x][e];
                sum[y][x][e] = 0.f;
            });
        }
    }
    if (!blocked) {
        const gemm::Factors<H / 8, W / 8> factors(a, b, at.row, at.column, 0);
        each_sum([&](int y, int x, int e) {
            total[y][x][e] = factors.apply(total[y][x][e], y * 2 + e / 2, x, e % 2);
        });
    }
    ptx::cp_async_wait<0>();
    __syncthreads(); // the tiles become stages of the result
    float* stage = reinterpret_cast<float*>(shared + warp * gemm::STAGE_BYTES<W>);
    gemm::put_out<T, W, H / 16>(r, blockIdx.y, at, stage, [&](int y, int j, int e) { return total[y][j][e]; });
}

} // namespace

#define GEMM_SCALED(NAME, THREADS, BLOCKS, T, FUNCTION)                                                                \
    KERNEL(NAME, BOUNDS(THREADS, BLOCKS),                                                                              \
           (void* out, const T* bias, T* pre, float* partial, int m, int n, int flags, const uint8_t* a,               \
            const float* a_scales, int a_rows, int a_across, int a_type, const uint8_t* b, const float* b_scales,      \
            int b_rows, int b_across, int b_type, int k, int splits),                                                  \
           (FUNCTION<T>(Result<T>{out, bias, pre, partial, m, n, flags},                                               \
                        Scaled{a, a_scales, a_rows, a_across, a_type, m},                                              \
                        Scaled{b, b_scales, b_rows, b_across, b_type, n}, k, splits)))

GEMM_SCALED(gemm_scaled_simt_f32, gemm::SIMT_THREADS, 2, float, gemm_scaled_simt)
GEMM_SCALED(gemm_scaled_simt_bf16, gemm::SIMT_THREADS, 2, bf16, gemm_scaled_simt)
GEMM_SCALED(gemm_scaled_simt_f16, gemm::SIMT_THREADS, 2, f16, gemm_scaled_simt)
GEMM_SCALED(gemm_scaled_mma_f32, THREADS, 1, float, gemm_scaled_mma)
GEMM_SCALED(gemm_scaled_mma_bf16, THREADS, 1, bf16, gemm_scaled_mma)
GEMM_SCALED(gemm_scaled_mma_f16, THREADS, 1, f16, gemm_scaled_mma)
