// Matrix products of BF16 and F16 for sm_90a: tiles come by TMA, warpgroups multiply them by wgmma. Both operands as
// they lie in memory, transposed or not: wgmma reads either order from shared memory.
#include "gemm_sm90.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;
using namespace gemm::hopper;

#if SM90A_CODE

// Starts the four products of one stage: 64 rows by WIDTH columns by 64 steps.
template <class T, int WIDTH, bool TRANS_A, bool TRANS_B>
DEVICE void multiply(float (&sum)[WIDTH / 2], uint32_t a, uint32_t b, bool accumulate) {
    ptx::wgmma_fence();
#pragma unroll
    for (int step = 0; step < DEPTH / 16; step++) {
        // 16 steps are 32 bytes of a row, or 16 rows of 128 bytes
        const uint64_t x = TRANS_A ? ptx::wgmma_mn_major_128(a + step * 2048, HALF_TILE)
                                   : ptx::wgmma_k_major_128(a + step * 32);
        const uint64_t y = TRANS_B ? ptx::wgmma_k_major_128(b + step * 32)
                                   : ptx::wgmma_mn_major_128(b + step * 2048, HALF_TILE);
        ptx::wgmma<T, WIDTH, TRANS_A, !TRANS_B>(sum, x, y, accumulate || step > 0);
    }
    ptx::wgmma_commit();
}

template <class T, int WIDTH, bool TRANS_A, bool TRANS_B>
DEVICE void consume(const Work<T, WIDTH>& work, const Result<T>& r, const Ring& ring, float* stage) {
    const int warpgroup = threadIdx.x / 128 - 1;
    const uint32_t a = ring.base + warpgroup * HALF_TILE;
    const uint32_t b = ring.base + A_BYTES;
    Turn<STAGES<WIDTH>> turn;
    for (int item = blockIdx.x; item < work.items(); item += gridDim.x) {
        const Tile tile = work.tile(item);
        const Span span = work.span(item); // never empty: splits <= k-tiles
        float sum[WIDTH / 2];
        int last = 0;
        for (int i = span.from; i < span.to; i++, turn.next()) {
            ptx::mbar_wait(ring.full + turn.stage * 8, turn.parity);
            const uint32_t at = turn.stage * STAGE_BYTES<WIDTH>;
            multiply<T, WIDTH, TRANS_A, TRANS_B>(sum, a + at, b + at, i > span.from);
            ptx::wgmma_wait<1>(); // the stage before this one is free, this one is being multiplied
            if (i > span.from) {
                release(ring.empty + last * 8);
            }
            last = turn.stage;
        }
        ptx::wgmma_wait<0>(sum);
        release(ring.empty + last * 8);
        // meanwhile the producer fills the stages for the next item
        const int row = tile.row * HEIGHT + warpgroup * 64 + threadIdx.x / 32 % 4 * 16;
        const gemm::Place place = {row, tile.column * WIDTH, 0, STAGED_COLUMNS};
        gemm::put_out<T, STAGED_COLUMNS, WIDTH / STAGED_COLUMNS>(
            r, work.split(item), place, stage,
            [&](int p, int j, int e) { return sum[p * (STAGED_COLUMNS / 2) + j * 4 + e]; });
    }
}

#endif

// gemm_sm90: out = op(a) op(b) + beta out, then bias and gelu; BF16 or F16 operands, fp32 sums
// Bytes: (m k + k n + m n) s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: tensor cores (989 TFLOP/s) once k is a few hundred; a 128 x 256 tile does 85 FLOP per byte it loads, so 132
//       multiprocessors ask the L2 cache for 11 TB/s at most and memory for little
// Tile: 128 x 256 x 64, two warpgroups of 64 x 256 (wgmma's widest: 10 KiB of shared memory per 128 cycles, 80 of 128
//       bytes per cycle), four stages of 48 KiB; 128 x 128 x 64 in six stages of 32 KiB where the wide tile would leave
//       multiprocessors idle. A third warpgroup only copies and gives its registers away (40 stay; 232 for the sums). As many
//       blocks as multiprocessors, each takes tiles in turn and loads the next while it puts out the last
template <class T, int WIDTH, bool TRANS_A, bool TRANS_B>
__device__ void gemm_sm90(const Result<T>& r, const TensorMap* a, const TensorMap* b, int k, int splits) {
#if SM90A_CODE
    DYN_SMEM(shared, 1024);
    const Ring ring = ring_at<WIDTH>(shared);
    prepare<WIDTH>(ring, a, b);
    const Work<T, WIDTH> work(r, k, splits);
    if (threadIdx.x < 128) {
        ptx::setmaxnreg_dec<40>();
        if (threadIdx.x == 0) {
            produce<T, WIDTH, TRANS_A, TRANS_B>(work, a, b, ring);
        }
    } else {
        ptx::setmaxnreg_inc<232>();
        consume<T, WIDTH, TRANS_A, TRANS_B>(work, r, ring, staging_at<WIDTH>(shared));
    }
#endif
}

} // namespace

#define GEMM_SM90(NAME, T, WIDTH, TRANS_A, TRANS_B)                                                                    \
    KERNEL(NAME, BOUNDS(THREADS, 1),                                                                                   \
           (const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, void* out, const T* bias, T* pre, \
            float* partial, int m, int n, int flags, int k, int splits),                                               \
           (gemm_sm90<T, WIDTH, TRANS_A, TRANS_B>(Result<T>{out, bias, pre, partial, m, n, flags}, &a, &b, k, splits)))

// No op multiplies two transposed operands: one tile is enough for them.
#define GEMM_SM90_TYPE(T)                                                                                              \
    GEMM_SM90(gemm_sm90_256_nn_##T, T, 256, false, false)                                                            \
    GEMM_SM90(gemm_sm90_256_nt_##T, T, 256, false, true)                                                             \
    GEMM_SM90(gemm_sm90_256_tn_##T, T, 256, true, false)                                                             \
    GEMM_SM90(gemm_sm90_128_nn_##T, T, 128, false, false)                                                            \
    GEMM_SM90(gemm_sm90_128_nt_##T, T, 128, false, true)                                                             \
    GEMM_SM90(gemm_sm90_128_tn_##T, T, 128, true, false)                                                             \
    GEMM_SM90(gemm_sm90_128_tt_##T, T, 128, true, true)

GEMM_SM90_TYPE(bf16)
GEMM_SM90_TYPE(f16)
