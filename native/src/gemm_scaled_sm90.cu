// Products of matrices in 8-bit floats for sm_90a, out = a b^T with scales. The ring of gemm_sm90.cu, whose stage of 64
// pairs is one block of 128 steps; the tensor cores sum with some 14 bits, so each block's sums go on to F32 registers.
#include "gemm_scaled.cuh"
#include "gemm_sm90.cuh"

namespace {

using gemm::Result;
using gemm::Scaled;
using gemm::Span;
using gemm::Tile;
using namespace gemm::hopper;

constexpr int WIDTH = 128;

#if SM90A_CODE

template <class A, class B> DEVICE void products(float (&sum)[WIDTH / 2], uint32_t a, uint32_t b) {
#pragma unroll
    for (int step = 0; step < gemm::BLOCK / 32; step++) { // of 32 bytes of a row
        const uint64_t x = ptx::wgmma_k_major_128(a + step * 32);
        const uint64_t y = ptx::wgmma_k_major_128(b + step * 32);
        ptx::wgmma_f8<A, B, WIDTH>(sum, x, y, step > 0);
    }
}

// The sums of one block: 64 rows by WIDTH columns.
DEVICE void multiply(float (&sum)[WIDTH / 2], uint32_t a, uint32_t b, int type_a, int type_b) {
    ptx::wgmma_fence();
    if (type_a == E4M3 && type_b == E4M3) {
        products<e4m3, e4m3>(sum, a, b);
    } else if (type_a == E4M3) {
        products<e4m3, e5m2>(sum, a, b);
    } else if (type_b == E4M3) {
        products<e5m2, e4m3>(sum, a, b);
    } else {
        products<e5m2, e5m2>(sum, a, b);
    }
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(sum);
}

template <class T>
DEVICE void consume(const Work<T, WIDTH>& work, const Result<T>& r, const Scaled& a, const Scaled& b, const Ring& ring,
                    float* stage) {
    using Factors = gemm::Factors<2, WIDTH / 8>;
    const int warpgroup = threadIdx.x / 128 - 1;
    const uint32_t a_tiles = ring.base + warpgroup * HALF_TILE;
    const uint32_t b_tiles = ring.base + A_BYTES;
    const bool blocked = a.across > 1 || b.across > 1;
    Turn<STAGES<WIDTH>> turn;
    for (int item = blockIdx.x; item < work.items(); item += gridDim.x) {
        const Tile tile = work.tile(item);
        const Span span = work.span(item);
        const int row = tile.row * HEIGHT + warpgroup * 64 + threadIdx.x / 32 % 4 * 16;
        const int column = tile.column * WIDTH;
        float total[WIDTH / 2] = {};
        for (int i = span.from; i < span.to; i++, turn.next()) {
            const uint32_t at = turn.stage * STAGE_BYTES<WIDTH>;
            const Factors factors(a, b, row, column, blocked ? i : 0); // before the wait, which hides them
            float sum[WIDTH / 2];
            ptx::mbar_wait(ring.full + turn.stage * 8, turn.parity);
            multiply(sum, a_tiles + at, b_tiles + at, a.type, b.type);
            release(ring.empty + turn.stage * 8);
            // meanwhile the other warpgroup has the tensor cores
            const bool scaled = blocked || i + 1 == span.to;
#pragma unroll
            for (int e = 0; e < WIDTH / 2; e++) {
                if (blocked) {
                    total[e] += factors.apply(sum[e], e / 2 % 2, e / 4, e % 2);
                } else {
                    total[e] = scaled ? factors.apply(total[e] + sum[e], e / 2 % 2, e / 4, e % 2) : total[e] + sum[e];
                }
            }
        }
        const gemm::Place place = {row, column, 0, STAGED_COLUMNS};
        gemm::put_out<T, STAGED_COLUMNS, WIDTH / STAGED_COLUMNS>(
            r, work.split(item), place, stage,
            [&](int p, int j, int e) { return total[p * (STAGED_COLUMNS / 2) + j * 4 + e]; });
    }
}

#endif

// gemm_scaled_sm90: out = a b^T + beta out, then bias and gelu; 8-bit floats with scales of rows or of 128 of k
// Bytes: m k + k n + m n s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: tensor cores (1979 TFLOP/s) once k is some hundreds; a 128-tile does 128 operations per byte it loads, so
//       132 multiprocessors ask the L2 cache for 15 TB/s at most
// Tile: 128 x 128 x 128, two warpgroups of 64 x 128: 64 registers for the sums of a block and 64 for the total, which at
//       256 columns would be all there are; six stages of 32 KiB. While one warpgroup adds its block to the total, some
//       130 cycles, the other multiplies for 256. As many blocks as multiprocessors, as gemm_sm90
template <class T>
__device__ void gemm_scaled_sm90(const Result<T>& r, const Scaled& a, const Scaled& b, const TensorMap* a_map,
                                 const TensorMap* b_map, int k, int splits) {
#if SM90A_CODE
    DYN_SMEM(shared, 1024);
    const Ring ring = ring_at<WIDTH>(shared);
    prepare<WIDTH>(ring, a_map, b_map);
    const Work<T, WIDTH> work(r, k / 2, splits); // in pairs
    if (threadIdx.x < 128) {
        ptx::setmaxnreg_dec<40>();
        if (threadIdx.x == 0) {
            produce<T, WIDTH, false, true>(work, a_map, b_map, ring);
        }
    } else {
        ptx::setmaxnreg_inc<232>();
        consume(work, r, a, b, ring, staging_at<WIDTH>(shared));
    }
#endif
}

} // namespace

#define GEMM_SCALED_SM90(NAME, T)                                                                                      \
    KERNEL(NAME, BOUNDS(THREADS, 1),                                                                                   \
           (const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map, void* out, const T* bias, \
            T* pre, float* partial, int m, int n, int flags, const uint8_t* a, const float* a_scales, int a_rows,      \
            int a_across, int a_type, const uint8_t* b, const float* b_scales, int b_rows, int b_across, int b_type,   \
            int k, int splits),                                                                                        \
           (gemm_scaled_sm90(Result<T>{out, bias, pre, partial, m, n, flags},                                          \
                             Scaled{a, a_scales, a_rows, a_across, a_type, m},                                         \
                             Scaled{b, b_scales, b_rows, b_across, b_type, n}, &a_map, &b_map, k, splits)))

GEMM_SCALED_SM90(gemm_scaled_sm90_f32, float)
GEMM_SCALED_SM90(gemm_scaled_sm90_bf16, bf16)
GEMM_SCALED_SM90(gemm_scaled_sm90_f16, f16)
