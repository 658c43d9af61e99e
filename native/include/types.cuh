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
DEVICE float to_float(e4m3 x) {
    return ptx::f16_to_f32((uint16_t)ptx::e4m3x2_to_f16x2(x.bits));
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

// Floats round to nearest even, the 8-bit ones saturating at their largest finite value. Integers are truncated; the
// value must be in their range.
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
    return e4m3{(uint8_t)ptx::pack_e4m3(x, 0.f)};
}
template <>
DEVICE e5m2 from_float<e5m2>(float x) {
    return e5m2{(uint8_t)ptx::pack_e5m2(x, 0.f)};
}
template <>
DEVICE int32_t from_float<int32_t>(float x) {
    return (int32_t)x;
}
template <>
DEVICE uint8_t from_float<uint8_t>(float x) {
    return (uint8_t)x;
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
