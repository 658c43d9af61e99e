// Matrix products of BF16 and F16 on tensor cores by mma.sync, for every architecture from sm_80 on. Operands must start
// on 16-byte boundaries and have rows of a multiple of 8 elements; the rest goes to gemm_simt.cu.
#include "gemm_mma.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;

constexpr int THREADS = 128; // 2 x 2 warps, each a quarter of the tile

template <int SIZE> constexpr int STAGES = SIZE == 128 ? 3 : 4;

// gemm_mma: out = op(a) op(b) + beta out, then bias and gelu; BF16 or F16 operands, fp32 sums
// Bytes: (m k + k n + m n) s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: tensor cores once k is a few hundred; a 128-tile does 64 FLOP per byte it loads into shared memory
// Tile: 128 x 128 x 32 by 4 warps of 64 x 64: a warp's quarter reads 4 KiB of shared memory for 64 x 64 x 16 products,
//       half of what the tensor cores of an sm_80 take in that time (64 x 32 would be all of it with the copies);
//       3 stages are 48 KiB, so two blocks fit on every architecture and one copies while the other multiplies.
//       64 x 64 x 32 (4 stages) where 128-tiles would leave multiprocessors idle
template <class T, int SIZE, bool TRANS_A, bool TRANS_B>
__device__ void gemm_mma(const Result<T>& r, const T* a_data, const T* b_data, int k, int splits) {
    using A = gemm::Layout<SIZE, TRANS_A>;
    using B = gemm::Layout<SIZE, !TRANS_B>;
    constexpr int W = SIZE / 2;
    constexpr int PIPE = STAGES<SIZE>;
    constexpr uint32_t TILE = gemm::TILE_BYTES<SIZE>;
    DYN_SMEM(shared, 128);
    const uint32_t a_tiles = ptx::shared_address(shared);
    const uint32_t b_tiles = a_tiles + PIPE * TILE;
    const int warp = threadIdx.x / 32;
    const int row = warp / 2 * W;
    const int column = warp % 2 * W;
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, SIZE), gemm::ceil_div(r.n, SIZE));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(k, gemm::DEPTH));
    const gemm::Source<T, SIZE, TRANS_A, THREADS> a(a_data, r.m, k, tile.row * SIZE);
    const gemm::Source<T, SIZE, !TRANS_B, THREADS> b(b_data, r.n, k, tile.column * SIZE);

#pragma unroll
    for (int s = 0; s < PIPE - 1; s++) {
        if (span.from + s < span.to) {
            a.copy(a_tiles + s * TILE, (span.from + s) * gemm::DEPTH);
            b.copy(b_tiles + s * TILE, (span.from + s) * gemm::DEPTH);
        }
        ptx::cp_async_commit();
    }
    float sum[W / 16][W / 8][4] = {};
    for (int i = span.from; i < span.to; i++) {
        ptx::cp_async_wait<PIPE - 2>();
        __syncthreads(); // this tile is there for all, and all have left the one before it
        const int next = i + PIPE - 1;
        if (next < span.to) {
            const uint32_t stage = uint32_t(next - span.from) % PIPE * TILE;
            a.copy(a_tiles + stage, next * gemm::DEPTH);
            b.copy(b_tiles + stage, next * gemm::DEPTH);
        }
        ptx::cp_async_commit(); // also when empty: the wait above counts groups
        const uint32_t stage = uint32_t(i - span.from) % PIPE * TILE;
        gemm::Fragments<W, W> f[2]; // the second half is fetched while the first is multiplied
        f[0].template load<A, B>(a_tiles + stage, b_tiles + stage, row, column, 0);
        f[1].template load<A, B>(a_tiles + stage, b_tiles + stage, row, column, 16);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            gemm::multiply(sum, f[half], [](auto& d, auto& a, uint32_t b0, uint32_t b1) {
                gemm::times(d, a, b0, b1, T{});
            });
        }
    }
    ptx::cp_async_wait<0>();
    __syncthreads(); // the tiles become stages of the result
    float* stage = reinterpret_cast<float*>(shared + warp * gemm::STAGE_BYTES<W>);
    const gemm::Place at = {tile.row * SIZE + row, tile.column * SIZE + column, 16, 0};
    gemm::put_out<T, W, W / 16>(r, blockIdx.y, at, stage, [&](int y, int j, int e) { return sum[y][j][e]; });
}

} // namespace

#define GEMM_MMA(NAME, T, SIZE, TRANS_A, TRANS_B)                                                                      \
    KERNEL(NAME, BOUNDS(THREADS, 2),                                                                                   \
           (void* out, const T* bias, T* pre, float* partial, int m, int n, int flags, const T* a, const T* b, int k,  \
            int splits),                                                                                               \
           (gemm_mma<T, SIZE, TRANS_A, TRANS_B>(Result<T>{out, bias, pre, partial, m, n, flags}, a, b, k, splits)))

// No op multiplies two transposed operands: one tile is enough for them.
#define GEMM_MMA_TYPE(T)                                                                                               \
    GEMM_MMA(gemm_mma_128_nn_##T, T, 128, false, false)                                                                \
    GEMM_MMA(gemm_mma_128_nt_##T, T, 128, false, true)                                                                 \
    GEMM_MMA(gemm_mma_128_tn_##T, T, 128, true, false)                                                                 \
    GEMM_MMA(gemm_mma_64_nn_##T, T, 64, false, false)                                                                  \
    GEMM_MMA(gemm_mma_64_nt_##T, T, 64, false, true)                                                                   \
    GEMM_MMA(gemm_mma_64_tn_##T, T, 64, true, false)                                                                   \
    GEMM_MMA(gemm_mma_64_tt_##T, T, 64, true, true)

GEMM_MMA_TYPE(bf16)
GEMM_MMA_TYPE(f16)
