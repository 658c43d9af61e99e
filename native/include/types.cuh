// types.cuh: element types, conversions and 16-byte accesses.
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

// 16 bytes to and from f32.
DEVICE void unpack(float (&v)[4], uint4 raw, float) {
    v[0] = __uint_as_float(raw.x);
    v[1] = __uint_as_float(raw.y);
    v[2] = __uint_as_float(raw.z);
    v[3] = __uint_as_float(raw.w);
}
DEVICE void unpack(float (&v)[8], uint4 raw, bf16) {
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[2 * i] = __uint_as_float(words[i] << 16);
        v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
}
DEVICE void unpack(float (&v)[8], uint4 raw, f16) {
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[2 * i] = ptx::f16_to_f32((uint16_t)words[i]);
        v[2 * i + 1] = ptx::f16_to_f32((uint16_t)(words[i] >> 16));
    }
}
DEVICE uint4 pack(const float (&v)[4], float) {
    return make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3]));
}
DEVICE uint4 pack(const float (&v)[8], bf16) {
    return make_uint4(ptx::pack_bf16(v[0], v[1]), ptx::pack_bf16(v[2], v[3]), ptx::pack_bf16(v[4], v[5]),
                      ptx::pack_bf16(v[6], v[7]));
}
DEVICE uint4 pack(const float (&v)[8], f16) {
    return make_uint4(ptx::pack_f16(v[0], v[1]), ptx::pack_f16(v[2], v[3]), ptx::pack_f16(v[4], v[5]),
                      ptx::pack_f16(v[6], v[7]));
}

// Two f32 as two adjacent bf16 or f16 in one word; the first is in the lower half.
DEVICE uint32_t pack2(float lo, float hi, bf16) {
    return ptx::pack_bf16(lo, hi);
}
DEVICE uint32_t pack2(float lo, float hi, f16) {
    return ptx::pack_f16(lo, hi);
}

// Reads N elements at p, which must be 16-byte aligned; N * sizeof(T) is a multiple of 16. load_vec<8> reads 8 bf16
// in one access and 8 floats in two, so that kernels can mix the types of a row.
template <int N, class T>
DEVICE void load_vec(float (&v)[N], const T* p) {
    static_assert(N % VEC<T> == 0, "whole 16-byte accesses");
#pragma unroll
    for (int i = 0; i < N / VEC<T>; i++) {
        float part[VEC<T>];
        unpack(part, ptx::ld128(p + i * VEC<T>), T{});
#pragma unroll
        for (int j = 0; j < VEC<T>; j++) v[i * VEC<T> + j] = part[j];
    }
}

// The same for data read once: it does not stay in L1.
template <int N, class T>
DEVICE void load_vec_once(float (&v)[N], const T* p) {
    static_assert(N % VEC<T> == 0, "whole 16-byte accesses");
#pragma unroll
    for (int i = 0; i < N / VEC<T>; i++) {
        float part[VEC<T>];
        unpack(part, ptx::ld128_once(p + i * VEC<T>), T{});
#pragma unroll
        for (int j = 0; j < VEC<T>; j++) v[i * VEC<T> + j] = part[j];
    }
}

// Writes N elements at p, rounded to T; alignment and N as for load_vec.
template <int N, class T>
DEVICE void store_vec(T* p, const float (&v)[N]) {
    static_assert(N % VEC<T> == 0, "whole 16-byte accesses");
#pragma unroll
    for (int i = 0; i < N / VEC<T>; i++) {
        float part[VEC<T>];
#pragma unroll
        for (int j = 0; j < VEC<T>; j++) part[j] = v[i * VEC<T> + j];
        ptx::st128(p + i * VEC<T>, pack(part, T{}));
    }
}
