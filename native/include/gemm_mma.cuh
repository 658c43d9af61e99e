// Products on tensor cores by mma.sync: tiles in shared memory and fragments of them, which gemm_mma.cu, gemm_scaled.cu
// and gemm_weights.cu share. A pair of 8-bit elements counts as one of 16 bits: mma.sync takes it in the same place.
#pragma once
#include "gemm.cuh"

namespace gemm {

constexpr int DEPTH = 32; // k-steps per stage, of 16 bits
constexpr int CHUNK = 8;  // elements of 16 bytes

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
template <class T, int SIZE, bool LINES_TOGETHER, int THREADS> class Source {
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

DEVICE void times(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, bf16) {
    ptx::mma_bf16(d, a, b0, b1);
}

DEVICE void times(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, f16) {
    ptx::mma_f16(d, a, b0, b1);
}

// The operands of one k = 16 step of a warp: H lines of a, W lines of b.
template <int H, int W> struct Fragments {
    uint32_t a[H / 16][4];
    uint32_t b[W / 16][4];

    template <class A, class B> DEVICE void load(uint32_t a_tile, uint32_t b_tile, int row, int column, int step) {
#pragma unroll
        for (int i = 0; i < H / 16; i++) {
            A::template fragments<true>(a[i], a_tile, row + i * 16, step);
        }
#pragma unroll
        for (int i = 0; i < W / 16; i++) {
            B::template fragments<false>(b[i], b_tile, column + i * 16, step);
        }
    }
};

// sum += a b, all fragments; `times(d, a, b0, b1)` is the instruction.
template <int H, int W, class Times>
DEVICE void multiply(float (&sum)[H / 16][W / 8][4], const Fragments<H, W>& f, Times times) {
#pragma unroll
    for (int y = 0; y < H / 16; y++) {
#pragma unroll
        for (int x = 0; x < W / 8; x++) {
            times(sum[y][x], f.a[y], f.b[x / 2][x % 2 * 2], f.b[x / 2][x % 2 * 2 + 1]);
        }
    }
}

} // namespace gemm
