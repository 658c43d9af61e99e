// attention_sm90.cuh: what the attention kernels for Hopper share.
#pragma once
#include "attention_mma.cuh"
#include "ptx_wgmma.cuh"

// Rows of 64 elements (128 bytes, swizzled by TMA) form a panel; a tile of D columns is D / 64 panels.
constexpr uint32_t PANEL_ROW = 128;
constexpr uint32_t GROUP_ROWS = 64;  // of a warpgroup: the m of wgmma
constexpr int WARPGROUP = 128;

// The accumulators of 8-column groups as the one array that wgmma takes.
template <int N>
DEVICE float (&flat(float (&d)[N][4]))[4 * N] {
    return reinterpret_cast<float(&)[4 * N]>(d);
}

DEVICE void arrive_per_warp(uint32_t barrier) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
        ptx::mbar_arrive(barrier);
    }
}

// The warpgroup of this thread, by way of a shuffle: so the compiler knows that all lanes agree and that branches on it
// do not part a warp; else it serialises wgmma.
DEVICE int warpgroup() {
    return __shfl_sync(0xffffffffu, (int)threadIdx.x / WARPGROUP, 0);
}
