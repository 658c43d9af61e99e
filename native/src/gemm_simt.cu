// Matrix products on the ordinary arithmetic units: F32 operands (the contract asks for exact products, so not TF32), and
// the BF16 and F16 shapes whose rows do not start on 16-byte boundaries, which the tensor-core kernels cannot load.
#include "gemm_simt.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;

constexpr int FINISH_THREADS = 256;

// gemm_simt: out = op(a) op(b) + beta out, then bias and gelu; fp32 multiply-add, any shape, any alignment
// Bytes: (m k + k n + m n) s, each stripe of a and b read once per row and column of tiles, mostly from L2
// Operations: 2 m n k
// Roofline: fp32 units; a 128-tile does 32 FLOP per byte it loads, past the 14 that 67 TFLOP/s and 4.8 TB/s ask for
// Tile: 128 x 128 x 8 by 256 threads of 8 x 8 sums (64 multiply-adds per 16 floats read from shared memory), two
//       buffers; 8 deep and not 16, or the next tile's registers spill at two blocks per multiprocessor;
//       64 x 64 x 16 with 4 x 4 sums where 128-tiles would leave multiprocessors idle
template <class T, int R>
__device__ void gemm_simt(const Result<T>& r, const T* a_data, const T* b_data, int k, int splits) {
    constexpr int SIZE = gemm::SIMT_SIZE<R>;
    const auto a = gemm::operand_of(a_data, r.m, k, (r.flags & gemm::TRANS_A) != 0);
    const auto b = gemm::operand_of(b_data, r.n, k, (r.flags & gemm::TRANS_B) == 0);
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, SIZE), gemm::ceil_div(r.n, SIZE));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(k, gemm::SIMT_DEPTH<R>));
    float sum[R][R] = {};
    gemm::multiply_span(sum, a, b, tile, span, [](int) {});
    gemm::put_out_simt(r, blockIdx.y, tile, sum);
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
            load_row(part, partial + int64_t(s) * r.m * r.n + at, partial_vector, r.n - column);
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
    KERNEL(NAME, BOUNDS(gemm::SIMT_THREADS, BLOCKS),                                                                   \
           (void* out, const T* bias, T* pre, float* partial, int m, int n, int flags, const T* a, const T* b, int k,  \
            int splits),                                                                                               \
           (gemm_simt<T, R>(Result<T>{out, bias, pre, partial, m, n, flags}, a, b, k, splits)))

// The odd shapes of BF16 and F16 are small or rare: one tile is enough for them.
GEMM_SIMT(gemm_simt_128_f32, float, 8, 2)
GEMM_SIMT(gemm_simt_64_f32, float, 4, 3)
GEMM_SIMT(gemm_simt_64_bf16, bf16, 4, 3)
GEMM_SIMT(gemm_simt_64_f16, f16, 4, 3)

#define GEMM_FINISH(NAME, T)                                                                                           \
    KERNEL(NAME, FINISH_THREADS,                                                                                       \
           (void* out, const T* bias, T* pre, const float* partial, int m, int n, int flags, int splits),              \
           (gemm_finish<T>(Result<T>{out, bias, pre, nullptr, m, n, flags}, partial, splits)))

GEMM_FINISH(gemm_finish_f32, float)
GEMM_FINISH(gemm_finish_bf16, bf16)
GEMM_FINISH(gemm_finish_f16, f16)
