// Products on Hopper: tiles come by TMA into a ring of stages, warpgroups multiply them by wgmma. What gemm_sm90.cu and
// gemm_scaled_sm90.cu share. A pair of 8-bit elements counts as one of 16 bits.
#pragma once
#include "gemm.cuh"
#include "ptx_wgmma.cuh"

namespace gemm::hopper {

constexpr int CONSUMERS = 2; // warpgroups of 64 rows each
constexpr int THREADS = 128 * (1 + CONSUMERS);
constexpr int HEIGHT = 64 * CONSUMERS;
constexpr int DEPTH = 64;                // k-steps per stage: 128 bytes, the widest swizzle
constexpr uint32_t HALF_TILE = 64 * 128; // bytes of 64 lines x 64 steps, in either order
constexpr uint32_t A_BYTES = CONSUMERS * HALF_TILE;
constexpr int STAGED_COLUMNS = 32; // of the result, per warp

template <int WIDTH> constexpr int STAGES = WIDTH == 256 ? 4 : 6; // 192 KiB
template <int WIDTH> constexpr uint32_t STAGE_BYTES = A_BYTES + WIDTH / 64 * HALF_TILE;

// Offsets in dynamic shared memory; MatmulPlan and LowPrecisionPlan add them up as well.
template <int WIDTH> constexpr uint32_t RESULTS_AT = STAGES<WIDTH> * STAGE_BYTES<WIDTH>;
template <int WIDTH>
constexpr uint32_t BARRIERS_AT = RESULTS_AT<WIDTH> + 4 * CONSUMERS * gemm::STAGE_BYTES<STAGED_COLUMNS>;

#if SM90A_CODE

// The stages in turn: which one, and the parity of the round.
template <int COUNT> struct Turn {
    int stage = 0;
    uint32_t parity = 0;

    DEVICE void next() {
        if (++stage == COUNT) {
            stage = 0;
            parity ^= 1;
        }
    }
};

// The work of a launch in the order in which blocks take it: all tiles of the first split, then of the next.
template <class T, int WIDTH> struct Work {
    int rows;
    int columns;
    int splits;
    int k_tiles;

    DEVICE Work(const Result<T>& r, int k, int splits)
        : rows(ceil_div(r.m, HEIGHT)), columns(ceil_div(r.n, WIDTH)), splits(splits),
          k_tiles(ceil_div(k, DEPTH)) {}

    DEVICE int items() const { return rows * columns * splits; }
    DEVICE int split(int item) const { return item / (rows * columns); }
    DEVICE Tile tile(int item) const { return tile_at(item % (rows * columns), rows, columns); }
    DEVICE Span span(int item) const { return span_of(split(item), splits, k_tiles); }
};

// The ring's addresses in shared memory.
struct Ring {
    uint32_t base;
    uint32_t full; // barriers
    uint32_t empty;
};

template <int WIDTH> DEVICE Ring ring_at(const unsigned char* shared) {
    const uint32_t base = ptx::shared_address(shared);
    const uint32_t full = base + BARRIERS_AT<WIDTH>;
    return {base, full, full + STAGES<WIDTH> * 8};
}

// Makes the ring ready, by all threads.
template <int WIDTH> DEVICE void prepare(const Ring& ring, const TensorMap* a, const TensorMap* b) {
    if (threadIdx.x == 0) {
        ptx::prefetch_map(a);
        ptx::prefetch_map(b);
        for (int s = 0; s < STAGES<WIDTH>; s++) {
            ptx::mbar_init(ring.full + s * 8, 1);
            ptx::mbar_init(ring.empty + s * 8, 4 * CONSUMERS); // one lane of each warp
        }
        ptx::fence_mbar_init();
    }
    __syncthreads();
}

// One thread keeps all stages full.
template <class T, int WIDTH, bool TRANS_A, bool TRANS_B>
DEVICE void produce(const Work<T, WIDTH>& work, const TensorMap* a, const TensorMap* b, const Ring& ring) {
    Turn<STAGES<WIDTH>> turn;
    for (int item = blockIdx.x; item < work.items(); item += gridDim.x) {
        const Tile tile = work.tile(item);
        const Span span = work.span(item);
        const int row = tile.row * HEIGHT;
        const int column = tile.column * WIDTH;
        for (int i = span.from; i < span.to; i++, turn.next()) {
            const uint32_t a_tile = ring.base + turn.stage * STAGE_BYTES<WIDTH>;
            const uint32_t b_tile = a_tile + A_BYTES;
            const uint32_t bar = ring.full + turn.stage * 8;
            ptx::mbar_wait(ring.empty + turn.stage * 8, turn.parity ^ 1);
            ptx::mbar_arrive_expect(bar, STAGE_BYTES<WIDTH>); // what lies outside the operands counts as delivered
            if constexpr (TRANS_A) {
                for (int j = 0; j < CONSUMERS; j++) {
                    ptx::tma_load_2d(a_tile + j * HALF_TILE, a, row + j * 64, i * DEPTH, bar);
                }
            } else {
                ptx::tma_load_2d(a_tile, a, i * DEPTH, row, bar);
            }
            if constexpr (TRANS_B) {
                ptx::tma_load_2d(b_tile, b, i * DEPTH, column, bar);
            } else {
                for (int j = 0; j < WIDTH / 64; j++) {
                    ptx::tma_load_2d(b_tile + j * HALF_TILE, b, column + j * 64, i * DEPTH, bar);
                }
            }
        }
    }
}

// This warp no longer reads a stage.
DEVICE void release(uint32_t empty) {
    __syncwarp(); // all lanes have waited for their part of the products
    if (threadIdx.x % 32 == 0) {
        ptx::mbar_arrive(empty);
    }
}

// Where this warp stages its part of the result.
template <int WIDTH> DEVICE float* staging_at(unsigned char* shared) {
    const int warp = threadIdx.x / 32 - 4;
    return reinterpret_cast<float*>(shared + RESULTS_AT<WIDTH> + warp * gemm::STAGE_BYTES<STAGED_COLUMNS>);
}

#endif

} // namespace gemm::hopper
