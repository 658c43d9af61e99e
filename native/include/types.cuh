// types.cuh: element types and their conversions.
//
// The 16- and 8-bit floats are plain bits: arithmetic happens in f32, so conversions are all that is needed of
// NVIDIA's headers, which are not there under NVRTC or on a machine without a toolkit.
#pragma once
#include "ptx.cuh"

struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};
struct e4m3 {  // 4 exponent bits, 3 of fraction, no infinity, largest 448
    uint8_t bits;
};
struct e5m2 {  // 5 exponent bits, 2 of fraction, largest finite 57344
    uint8_t bits;
};
struct i8 {  // an integer of low-precision matrices, -127 to 127
    uint8_t bits;
};

#define INF_F32 __int_as_float(0x7f800000)

DEVICE float to_float(float x) {
    return x;
}
DEVICE float to_float(bf16 x) {
    return __uint_as_float((uint32_t)x.bits << 16);
}
DEVICE float to_float(f16 x) {
    return ptx::f16_to_f32(x.bits);
}
// Without instructions for the type: an f16 with the same bits has a bias of 15, not 7.
DEVICE float float_of_e4m3(uint8_t bits) {
    const uint32_t magnitude = bits & 0x7f;
    const float x = 256.f * ptx::f16_to_f32((uint16_t)((uint32_t)(bits & 0x80) << 8 | magnitude << 7));
    return magnitude == 0x7f ? __int_as_float(0x7fffffff) : x;
}
DEVICE float to_float(e4m3 x) {
#if SM89_CODE
    return ptx::f16_to_f32((uint16_t)ptx::e4m3x2_to_f16x2(x.bits));
#else
    return float_of_e4m3(x.bits);
#endif
}
DEVICE float to_float(e5m2 x) {
    return ptx::f16_to_f32((uint16_t)((uint32_t)x.bits << 8));  // e5m2 is the upper half of an f16
}
DEVICE float to_float(int32_t x) {
    return (float)x;
}
DEVICE float to_float(uint8_t x) {
    return (float)x;
}
DEVICE float to_float(i8 x) {
    return (float)(int8_t)x.bits;
}

// A float as one of 8 bits without instructions for the type: to nearest even, finite values saturate. FRACTION bits of
// fraction; the codes of the largest finite value and of infinity, 0 for none.
template <int FRACTION, int BIAS, int LARGEST, int INFINITE>
DEVICE uint32_t small_float(float x) {
    const uint32_t bits = __float_as_uint(x), sign = bits >> 24 & 0x80, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x7f800000) return magnitude == 0x7f800000 && INFINITE ? sign | INFINITE : 0x7f;
    if (magnitude < (uint32_t)(128 - BIAS) << 23) {
        // A subnormal: adding the float whose last bit is the smallest of them leaves the code in the low bits.
        constexpr uint32_t UNIT = (uint32_t)(151 - BIAS - FRACTION) << 23;
        return sign | (__float_as_uint(__fadd_rn(__uint_as_float(magnitude), __uint_as_float(UNIT))) - UNIT);
    }
    constexpr int DROPPED = 23 - FRACTION;
    const uint32_t rounded = magnitude + (1 << (DROPPED - 1)) - 1 + (magnitude >> DROPPED & 1);
    const uint32_t code = (rounded >> DROPPED) - ((127 - BIAS) << FRACTION);
    return sign | (code < LARGEST ? code : LARGEST);
}
DEVICE uint32_t code_of_e4m3(float x) {
    return small_float<3, 7, 0x7e, 0>(x);
}
DEVICE uint32_t code_of_e5m2(float x) {
    return small_float<2, 15, 0x7b, 0x7c>(x);
}

// Two floats as two codes, the first in the lower byte. The instructions make the largest finite value of infinities.
DEVICE uint32_t pack2(float lo, float hi, e4m3) {
#if SM89_CODE
    return ptx::pack_e4m3(lo - (lo - lo), hi - (hi - hi));  // NaN of infinities; the rest, and the sign of 0, stays
#else
    return code_of_e4m3(lo) | code_of_e4m3(hi) << 8;
#endif
}
DEVICE uint32_t pack2(float lo, float hi, e5m2) {
#if SM89_CODE
    const uint32_t infinite = (fabsf(lo) == INF_F32 ? 1 : 0) | (fabsf(hi) == INF_F32 ? 0x100 : 0);
    return ptx::pack_e5m2(lo, hi) + infinite;  // infinity follows the largest
#else
    return code_of_e5m2(lo) | code_of_e5m2(hi) << 8;
#endif
}

// Floats round to nearest even. To 8-bit floats and i8 finite values saturate; infinities become NaN in e4m3 and stay
// in e5m2; i8 takes 0 for NaN. To the other integers values are truncated and must be in their range.
template <class T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) {
    return x;
}
template <>
DEVICE bf16 from_float<bf16>(float x) {
    return bf16{ptx::f32_to_bf16(x)};
}
template <>
DEVICE f16 from_float<f16>(float x) {
    return f16{ptx::f32_to_f16(x)};
}
template <>
DEVICE e4m3 from_float<e4m3>(float x) {
    return e4m3{(uint8_t)pack2(x, 0.f, e4m3{})};
}
template <>
DEVICE e5m2 from_float<e5m2>(float x) {
    return e5m2{(uint8_t)pack2(x, 0.f, e5m2{})};
}
template <>
DEVICE int32_t from_float<int32_t>(float x) {
    return (int32_t)x;
}
template <>
DEVICE uint8_t from_float<uint8_t>(float x) {
    return (uint8_t)x;
}
template <>
DEVICE i8 from_float<i8>(float x) {
    return i8{(uint8_t)min(max(__float2int_rn(x), -127), 127)};
}

// Elements of T in 16 bytes.
template <class T>
constexpr int VEC = 16 / (int)sizeof(T);

// True when every pointer is a multiple of 16 bytes.
template <class... P>
DEVICE bool aligned16(const P*... pointers) {
    return ((... | (uint64_t)pointers) & 15) == 0;
}

// Two f32 as two adjacent bf16 or f16 in one word; the first is in the lower half.
DEVICE uint32_t pack2(float lo, float hi, bf16) {
    return ptx::pack_bf16(lo, hi);
}
DEVICE uint32_t pack2(float lo, float hi, f16) {
    return ptx::pack_f16(lo, hi);
}
