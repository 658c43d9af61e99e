// Matrix products of BF16 and F16 on tensor cores by mma.sync, for every architecture from sm_80 on. Operands must start
// on 16-byte boundaries and have rows of a multiple of 8 elements; the rest goes to gemm_simt.cu.
#include "gemm.cuh"

namespace {

using gemm::Result;
using gemm::Span;
using gemm::Tile;

constexpr int THREADS = 128; // 2 x 2 warps, each a quarter of the tile
constexpr int DEPTH = 32;    // k-steps per stage
constexpr int CHUNK = 8;     // elements of 16 bytes

template <int SIZE> constexpr int STAGES = SIZE == 128 ? 3 : 4;
template <int SIZE> constexpr uint32_t TILE_BYTES = SIZE * DEPTH * 2;

// One operand in shared memory: SIZE lines (rows of a, columns of b) by DEPTH steps (the inner dimension), in chunks of
// 16 bytes. LINES_TOGETHER: neighbours in memory are lines. The 8 chunks of an 8 x 8 matrix that ldmatrix reads lie in
// different banks, and so do the chunks of 8 neighbouring threads of cp.async.
template <int SIZE, bool LINES_TOGETHER> struct Layout {
    // across: the line (the step if LINES_TOGETHER); chunk: the eighth-of-steps (of-lines) in it
    DEVICE static uint32_t place(int across, int chunk) {
        if constexpr (LINES_TOGETHER) { // rows of 2 SIZE bytes, all starting in bank 0
            return across * (SIZE * 2) + ((chunk ^ (across & 7)) << 4);
        } else { // rows of 64 bytes, two to a sweep of the banks
            return across * (DEPTH * 2) + ((chunk ^ (across >> 1 & 3)) << 4);
        }
    }

    // The four 8 x 8 matrices of 16 lines from `line` and 16 steps from `step`. Matrix q holds line block
    // LINES_FIRST ? q % 2 : q / 2 and step block LINES_FIRST ? q / 2 : q % 2: the order in which mma.sync wants a
    // (LINES_FIRST) and two neighbouring b.
    template <bool LINES_FIRST> DEVICE static void fragments(uint32_t (&r)[4], uint32_t tile, int line, int step) {
        const int lane = threadIdx.x % 32;
        const int q = lane / 8;
        const int line_block = LINES_FIRST ? q % 2 : q / 2;
        const int step_block = LINES_FIRST ? q / 2 : q % 2;
        if constexpr (LINES_TOGETHER) {
            ptx::ldmatrix_x4_trans(r, tile + place(step + step_block * 8 + lane % 8, line / CHUNK + line_block));
        } else {
            ptx::ldmatrix_x4(r, tile + place(line + line_block * 8 + lane % 8, step / CHUNK + step_block));
        }
    }
};

// What one thread copies of one operand: every HOP-th row of the tile (in memory's sense), always the same chunk.
template <class T, int SIZE, bool LINES_TOGETHER> class Source {
    static constexpr int CHUNKS_ACROSS = LINES_TOGETHER ? SIZE / CHUNK : DEPTH / CHUNK;
    static constexpr int HOP = THREADS / CHUNKS_ACROSS;
    static constexpr int HOPS = (LINES_TOGETHER ? DEPTH : SIZE) / HOP;

    const T* data;
    int lines;
    int steps;
    int line;
    int row;

public:
    DEVICE Source(const T* data, int lines, int steps, int line0) : data(data), lines(lines), steps(steps) {
        const int chunk = threadIdx.x % CHUNKS_ACROSS;
        row = threadIdx.x / CHUNKS_ACROSS;
        line = line0 + (LINES_TOGETHER ? chunk * CHUNK : row);
        this->data += LINES_TOGETHER ? int64_t(row) * lines + line : int64_t(line) * steps + chunk * CHUNK;
    }

    // Starts copying the tile at `step0`; zeros outside the operand.
    DEVICE void copy(uint32_t tile, int step0) const {
        const int chunk = threadIdx.x % CHUNKS_ACROSS;
        const T* from = data + (LINES_TOGETHER ? int64_t(step0) * lines : step0);
        const int64_t pitch = LINES_TOGETHER ? lines : steps;
#pragma unroll
        for (int i = 0; i < HOPS; i++) {
            const bool in = LINES_TOGETHER ? line < lines && step0 + row + i * HOP < steps
                                           : line + i * HOP < lines && step0 + chunk * CHUNK < steps;
            const uint32_t at = tile + Layout<SIZE, LINES_TOGETHER>::place(row + i * HOP, chunk);
            ptx::cp_async16(at, in ? from + i * HOP * pitch : data, in ? 16 : 0);
        }
    }
};

DEVICE void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, bf16) {
    ptx::mma_bf16(d, a, b0, b1);
}

DEVICE void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, f16) {
    ptx::mma_f16(d, a, b0, b1);
}

// The operands of one k = 16 step of a warp: W lines of a, W lines of b.
template <int W> struct Fragments {
    uint32_t a[W / 16][4];
    uint32_t b[W / 16][4];

    template <class A, class B> DEVICE void load(uint32_t a_tile, uint32_t b_tile, int row, int column, int step) {
#pragma unroll
        for (int i = 0; i < W / 16; i++) {
            A::template fragments<true>(a[i], a_tile, row + i * 16, step);
            B::template fragments<false>(b[i], b_tile, column + i * 16, step);
        }
    }
};

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
    using A = Layout<SIZE, TRANS_A>;
    using B = Layout<SIZE, !TRANS_B>;
    constexpr int W = SIZE / 2;
    constexpr int PIPE = STAGES<SIZE>;
    constexpr uint32_t TILE = TILE_BYTES<SIZE>;
    DYN_SMEM(shared, 128);
    const uint32_t a_tiles = ptx::shared_address(shared);
    const uint32_t b_tiles = a_tiles + PIPE * TILE;
    const int warp = threadIdx.x / 32;
    const int row = warp / 2 * W;
    const int column = warp % 2 * W;
    const Tile tile = gemm::tile_at(blockIdx.x, gemm::ceil_div(r.m, SIZE), gemm::ceil_div(r.n, SIZE));
    const Span span = gemm::span_of(blockIdx.y, splits, gemm::ceil_div(k, DEPTH));
    const Source<T, SIZE, TRANS_A> a(a_data, r.m, k, tile.row * SIZE);
    const Source<T, SIZE, !TRANS_B> b(b_data, r.n, k, tile.column * SIZE);

#pragma unroll
    for (int s = 0; s < PIPE - 1; s++) {
        if (span.from + s < span.to) {
            a.copy(a_tiles + s * TILE, (span.from + s) * DEPTH);
            b.copy(b_tiles + s * TILE, (span.from + s) * DEPTH);
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
            a.copy(a_tiles + stage, next * DEPTH);
            b.copy(b_tiles + stage, next * DEPTH);
        }
        ptx::cp_async_commit(); // also when empty: the wait above counts groups
        const uint32_t stage = uint32_t(i - span.from) % PIPE * TILE;
        Fragments<W> f[2]; // the second half is fetched while the first is multiplied
        f[0].template load<A, B>(a_tiles + stage, b_tiles + stage, row, column, 0);
        f[1].template load<A, B>(a_tiles + stage, b_tiles + stage, row, column, 16);
#pragma unroll
        for (int half = 0; half < 2; half++) {
#pragma unroll
            for (int y = 0; y < W / 16; y++) {
#pragma unroll
                for (int x = 0; x < W / 8; x++) {
                    multiply(sum[y][x], f[half].a[y], f[half].b[x / 2][x % 2 * 2], f[half].b[x / 2][x % 2 * 2 + 1], T{});
                }
            }
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
