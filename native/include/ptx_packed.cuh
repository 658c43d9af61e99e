// ptx_packed.cuh: arithmetic on two floats of 16 bits in a word; as ptx.cuh.
#pragma once
#include "ptx.cuh"

namespace ptx {

// x + y in each half, rounded.
PTX uint32_t add_bf16x2(uint32_t x, uint32_t y) {
#ifdef __CUDACC__
    uint32_t r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(0x3f803f80), "r"(y));  // add.bf16x2 is of sm_90
    return r;
#else
    const auto add = [](uint16_t a, uint16_t b) {
        return emulator::bf16FromFloat(emulator::floatFromBf16(a) + emulator::floatFromBf16(b));
    };
    return add((uint16_t)x, (uint16_t)y) | (uint32_t)add((uint16_t)(x >> 16), (uint16_t)(y >> 16)) << 16;
#endif
}

PTX uint32_t add_f16x2(uint32_t x, uint32_t y) {
#ifdef __CUDACC__
    uint32_t r;
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y));
    return r;
#else
    const auto add = [](uint16_t a, uint16_t b) {
        return emulator::f16FromFloat(emulator::floatFromF16(a) + emulator::floatFromF16(b));
    };
    return add((uint16_t)x, (uint16_t)y) | (uint32_t)add((uint16_t)(x >> 16), (uint16_t)(y >> 16)) << 16;
#endif
}

}  // namespace ptx
