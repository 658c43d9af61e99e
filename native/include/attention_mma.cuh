// attention_mma.cuh: tiles in shared memory and fragments of mma.sync, for attention forward and backward.
//
// A tile has rows of D 16-bit elements, as 16-byte chunks; chunk c of row r lies at place c ^ (r % 8) of its row. Eight
// rows at one chunk, what a phase of ldmatrix reads, are then in eight different groups of four banks; so are the eight
// chunks of a row, what cp.async writes. Tiles start at multiples of 256 bytes.
#pragma once
#include "attention.cuh"

constexpr int MMA_THREADS = 128;

template <int D>
constexpr uint32_t ROW_BYTES = 2 * D;

template <int D, int ROWS>
constexpr uint32_t TILE_BYTES = ROWS * ROW_BYTES<D>;

DEVICE void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, bf16) {
    ptx::mma_bf16(d, a, b0, b1);
}
DEVICE void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, f16) {
    ptx::mma_f16(d, a, b0, b1);
}

// Starts the copy of ROWS rows from `first` on into a tile; rows from `end` on and columns from `dim` on become zero.
template <int D, int ROWS, class T>
DEVICE void load_tile(uint32_t tile, const T* rows, int64_t stride, int first, int end, int dim) {
    constexpr int CHUNKS = D / 8;
    constexpr int STEP = MMA_THREADS / CHUNKS;  // rows per turn, a multiple of 8: the place of a thread's chunk stays
    const int row = threadIdx.x / CHUNKS;
    const int chunk = threadIdx.x % CHUNKS;
    const uint32_t to = tile + row * ROW_BYTES<D> + ((chunk ^ (row & 7)) << 4);
    const T* from = rows + (first + row) * stride + chunk * 8;
#pragma unroll
    for (int i = 0; i < ROWS / STEP; i++) {
        const bool inside = first + row + i * STEP < end && chunk * 8 < dim;
        // of 0 bytes none is read: the address may lie anywhere
        ptx::cp_async16(to + i * STEP * ROW_BYTES<D>, from + i * STEP * stride, inside ? 16 : 0);
    }
}

// Where a lane's row of a fragment lies: 16 rows and the two chunks 2 k and 2 k + 1 of a tile. Because a row's place
// depends on its last three bits only, stepping by 16 rows is an addition and by two chunks an exclusive or.
template <int D>
struct Fragments {
    uint32_t lane;

    // `high`: whether this lane addresses the second chunk; `row`: its row of the 16.
    DEVICE Fragments(int row, int high) : lane(row * ROW_BYTES<D> + ((high ^ (row & 7)) << 4)) {}

    DEVICE uint32_t at(uint32_t tile, int firstRow, int k) const {
        return ((tile + lane) ^ (k << 5)) + firstRow * ROW_BYTES<D>;
    }
};

// Matrices in the order of an A fragment, or of a B fragment whose rows are the inner dimension (loaded transposed).
template <int D>
DEVICE Fragments<D> fragments_by_row() {
    const int lane = threadIdx.x % 32;
    return Fragments<D>(lane % 16, lane / 16);
}

// Matrices in the order of two B fragments whose rows are columns of the product: registers 0, 1 for the first eight
// rows.
template <int D>
DEVICE Fragments<D> fragments_by_column() {
    const int lane = threadIdx.x % 32;
    return Fragments<D>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
}

// The A fragments of a 16 x 16 block from the accumulators of its two 16 x 8 halves: the layouts agree.
template <class T>
DEVICE void pack_fragment(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
    a[0] = pack2(left[0], left[1], T{});
    a[1] = pack2(left[2], left[3], T{});
    a[2] = pack2(right[0], right[1], T{});
    a[3] = pack2(right[2], right[3], T{});
}

// The softmax of a warp's 16 rows over keys that come tile by tile: the running maximum and sum of the two rows of this
// thread (g and g + 8, g = lane / 4). Scores are unscaled; the scale is folded into the exponent, in powers of two:
// e^(scale (s - m)) = 2^(scale2 s - scale2 m), scale2 = scale log2(e), one multiply-add per score.
struct RunningSoftmax {
    float largest[2] = {-INF_F32, -INF_F32};
    float total[2] = {0, 0};  // of this thread's columns only, until finish()
    float by[2] = {1, 1};     // what sums of earlier tiles must be multiplied with

    // Replaces the scores of a tile by their exponentials. True, for the whole warp, if the maximum of some row has
    // grown: then rescale the sums so far. Later tiles seldom hold a new maximum, and the vote costs less than
    // multiplying D/2 registers.
    template <int N>
    DEVICE bool add(float (&score)[N][4], float scale2) {
        const float before[2] = {largest[0], largest[1]};
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float top = largest[half];
#pragma unroll
            for (int n = 0; n < N; n++) {
                top = fmaxf(top, fmaxf(score[n][2 * half], score[n][2 * half + 1]));
            }
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
            largest[half] = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
        }
        const bool grown = __any_sync(0xffffffffu, largest[0] != before[0] || largest[1] != before[1]);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (grown) {
                by[half] = ptx::ex2((before[half] - largest[half]) * scale2);
                total[half] *= by[half];
            }
            const float shift = largest[half] * scale2;
#pragma unroll
            for (int n = 0; n < N; n++) {
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    score[n][i] = ptx::ex2(fmaf(score[n][i], scale2, -shift));
                    total[half] += score[n][i];
                }
            }
        }
        return grown;
    }

    template <int C>
    DEVICE void rescale(float (&sums)[C][4]) const {
#pragma unroll
        for (int c = 0; c < C; c++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                sums[c][i] *= by[i / 2];
            }
        }
    }

    // Makes `total` the sum over whole rows.
    DEVICE void finish() {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            total[half] += __shfl_xor_sync(0xffffffffu, total[half], 1);
            total[half] += __shfl_xor_sync(0xffffffffu, total[half], 2);
        }
    }

    DEVICE float log_sum_exp(int half, float scale) const {
        return largest[half] * scale + logf(total[half]);
    }
};

// Minus infinity for scores above the diagonal: of 16 rows from `row` on, columns from `column` on. Keys past the end
// of the sequence are above it for every row within.
template <int N>
DEVICE void mask_diagonal(float (&score)[N][4], int row, int column) {
    const int lane = threadIdx.x % 32;
    const int seen = row + lane / 4 - column - lane % 4 * 2;  // of the columns of this thread in the first of its rows
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            score[n][i] = n * 8 + i % 2 > seen + i / 2 * 8 ? -INF_F32 : score[n][i];
        }
    }
}

// Writes 16 rows that a warp holds in accumulators to global memory by way of 16 rows of shared memory that only this
// warp uses: 16-byte stores of whole rows instead of 4-byte ones. value(c, i) is accumulator i of columns 8 c to 8 c +
// 7.
template <int D, class T, class F>
DEVICE void store_rows(T* rows, int64_t stride, int first, int end, int dim, unsigned char* staging, F value) {
    const int lane = threadIdx.x % 32;
    const int row = lane / 4;
    __syncwarp();
#pragma unroll
    for (int c = 0; c < D / 8; c++) {
        unsigned char* to = staging + row * ROW_BYTES<D> + ((c ^ row) << 4) + lane % 4 * 4;
        *reinterpret_cast<uint32_t*>(to) = pack2(value(c, 0), value(c, 1), T{});
        *reinterpret_cast<uint32_t*>(to + 8 * ROW_BYTES<D>) = pack2(value(c, 2), value(c, 3), T{});
    }
    __syncwarp();
    constexpr int CHUNKS = D / 8;
#pragma unroll
    for (int i = 0; i < 16 * CHUNKS / 32; i++) {
        const int r = (i * 32 + lane) / CHUNKS;
        const int c = (i * 32 + lane) % CHUNKS;
        if (first + r < end && c * 8 < dim) {
            ptx::st128(rows + (first + r) * stride + c * 8,
                       ptx::ld128(staging + r * ROW_BYTES<D> + ((c ^ (r & 7)) << 4)));
        }
    }
}
