// broken_hopper.cu: mistakes with the asynchronous hardware of sm_90, as in broken.cu.
#include "kernel.cuh"
#include "ptx_wgmma.cuh"

// Loads a 64 x 64 tile of bf16 and multiplies it with itself: the smallest complete use, with one mistake each.
enum Mistake {
    NONE,
    NO_INIT_FENCE,
    NO_BARRIER_AFTER_INIT,
    NO_WAIT_FOR_TILE,
    TOO_FEW_BYTES,
    TOO_MANY_BYTES,
    TWO_ARRIVALS,
    NO_WGMMA_FENCE,
    NO_WGMMA_WAIT,
    ORDINARY_WRITE_WITHOUT_FENCE,
    ORDINARY_WRITE_WITH_FENCE,
    DESCRIPTORS_DIFFER,
    REGISTERS_CHANGE,
    STORE_WITHOUT_FENCE,
    STORE_NOT_WAITED,
    STORE_SOURCE_OVERWRITTEN,
    WRONG_RANK,
    MISALIGNED_TILE,
    OVERWRITTEN_MBARRIER,
    NEVER_INITIALISED,
    WRONG_PARITY,
};

template <Mistake M>
DEVICE void load_tile(const TensorMap* map, uint32_t tile, uint32_t bar) {
    constexpr uint32_t bytes = M == TOO_FEW_BYTES ? 4096 : M == TOO_MANY_BYTES ? 16384 : 8192;
    ptx::mbar_arrive_expect(bar, bytes);
    if (M == TWO_ARRIVALS) ptx::mbar_arrive(bar);  // @second_arrival
    if (M == WRONG_RANK) {
        ptx::tma_load_3d(tile, map, 0, 0, 0, bar);  // @rank
    } else {
        ptx::tma_load_2d(M == MISALIGNED_TILE ? tile + 128 : tile, map, 0, 0, bar);  // @load
    }
}

template <Mistake M>
DEVICE void tile_product(float* out, const TensorMap* map, const TensorMap* store) {
    DYN_SMEM(memory, 1024);
    const uint32_t tile = ptx::shared_address(memory), bar = tile + 8192;
    if (threadIdx.x == 0 && M != NEVER_INITIALISED) {
        ptx::mbar_init(bar, 1);  // @init
        if (M != NO_INIT_FENCE) ptx::fence_mbar_init();
    }
    if (M != NO_BARRIER_AFTER_INIT) __syncthreads();
    if (threadIdx.x == 0) load_tile<M>(map, tile, bar);
    if (M == OVERWRITTEN_MBARRIER && threadIdx.x == 5) *(uint32_t*)(memory + 8192) = 0;
    if (M != NO_WAIT_FOR_TILE) ptx::mbar_wait(bar, M == WRONG_PARITY ? 1 : 0);  // @wait_tile
    if (M == ORDINARY_WRITE_WITHOUT_FENCE || M == ORDINARY_WRITE_WITH_FENCE) {
        __syncthreads();
        ((uint16_t*)memory)[threadIdx.x] = 0;  // @ordinary_write
        if (M == ORDINARY_WRITE_WITH_FENCE) ptx::fence_proxy_async();
        __syncthreads();
    }
    float d[32] = {};
    uint32_t a[4] = {0, 0, 0, 0};
    if (M != NO_WGMMA_FENCE) ptx::wgmma_fence();
    const uint64_t operand = ptx::wgmma_k_major_128(tile);
    if (M == REGISTERS_CHANGE) {
        ptx::wgmma_registers<bf16, 64>(d, a, operand, false);  // @registers
        a[1] = (uint32_t)(uintptr_t)out;
    } else if (M == DESCRIPTORS_DIFFER) {
        const uint64_t other = ptx::wgmma_k_major_128(tile + (threadIdx.x == 100 ? 32 : 0));
        ptx::wgmma<bf16, 64>(d, other, operand, false);  // @descriptors
    } else {
        ptx::wgmma<bf16, 64>(d, operand, operand, false);  // @product
    }
    ptx::wgmma_commit();
    if (M != NO_WGMMA_WAIT) ptx::wgmma_wait<0>(d);
    for (int i = 0; i < 32; i++) out[i * 128 + threadIdx.x] = d[i] + (float)(a[1] & 1);
    if (M >= STORE_WITHOUT_FENCE && M <= STORE_SOURCE_OVERWRITTEN) {
        __syncthreads();
        for (int i = 0; i < 32; i++) ((uint16_t*)memory)[i * 128 + threadIdx.x] = 0x3f80;  // @stage
        if (M != STORE_WITHOUT_FENCE) ptx::fence_proxy_async();
        __syncthreads();
        if (threadIdx.x == 0) {
            ptx::tma_store_2d(store, tile, 0, 0);  // @store
            ptx::bulk_commit();
            if (M != STORE_NOT_WAITED && M != STORE_SOURCE_OVERWRITTEN) ptx::bulk_wait<0>();
        }
        if (M == STORE_SOURCE_OVERWRITTEN) {
            __syncthreads();
            ((uint16_t*)memory)[threadIdx.x] = 0;  // @overwrite
            if (threadIdx.x == 0) ptx::bulk_wait<0>();
        }
    }
}

#define TILE_PRODUCT(name, mistake)                                                                                   \
    KERNEL(name, 128, (float* out, const __grid_constant__ TensorMap map, const __grid_constant__ TensorMap store),   \
           (tile_product<mistake>(out, &map, &store)))
TILE_PRODUCT(tile_fine, NONE)
TILE_PRODUCT(tile_no_init_fence, NO_INIT_FENCE)
TILE_PRODUCT(tile_no_barrier_after_init, NO_BARRIER_AFTER_INIT)
TILE_PRODUCT(tile_no_wait, NO_WAIT_FOR_TILE)
TILE_PRODUCT(tile_too_few_bytes, TOO_FEW_BYTES)
TILE_PRODUCT(tile_too_many_bytes, TOO_MANY_BYTES)
TILE_PRODUCT(tile_two_arrivals, TWO_ARRIVALS)
TILE_PRODUCT(tile_no_wgmma_fence, NO_WGMMA_FENCE)
TILE_PRODUCT(tile_no_wgmma_wait, NO_WGMMA_WAIT)
TILE_PRODUCT(tile_ordinary_write, ORDINARY_WRITE_WITHOUT_FENCE)
TILE_PRODUCT(tile_ordinary_write_fenced, ORDINARY_WRITE_WITH_FENCE)
TILE_PRODUCT(tile_descriptors_differ, DESCRIPTORS_DIFFER)
TILE_PRODUCT(tile_registers_change, REGISTERS_CHANGE)
TILE_PRODUCT(tile_store_without_fence, STORE_WITHOUT_FENCE)
TILE_PRODUCT(tile_store_not_waited, STORE_NOT_WAITED)
TILE_PRODUCT(tile_store_source_overwritten, STORE_SOURCE_OVERWRITTEN)
TILE_PRODUCT(tile_wrong_rank, WRONG_RANK)
TILE_PRODUCT(tile_misaligned, MISALIGNED_TILE)
TILE_PRODUCT(tile_overwritten_mbarrier, OVERWRITTEN_MBARRIER)
TILE_PRODUCT(tile_never_initialised, NEVER_INITIALISED)
TILE_PRODUCT(tile_wrong_parity, WRONG_PARITY)
