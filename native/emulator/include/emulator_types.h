// emulator_types.h: CUDA's vector types and the conversions of small floats, without any header of a CUDA toolkit.
#pragma once
#include <math.h>  // isfinite and the like outside std, as CUDA has them
#include <cmath>
#include <cstdint>
#include <cstring>

#define EMULATOR_VECTOR2(name, type, alignment)                                                                        \
    struct alignas(alignment) name {                                                                                   \
        type x, y;                                                                                                     \
    };                                                                                                                 \
    static inline name make_##name(type x, type y) {                                                                   \
        return {x, y};                                                                                                 \
    }
#define EMULATOR_VECTOR3(name, type)                                                                                   \
    struct name {                                                                                                      \
        type x, y, z;                                                                                                  \
    };                                                                                                                 \
    static inline name make_##name(type x, type y, type z) {                                                           \
        return {x, y, z};                                                                                              \
    }
#define EMULATOR_VECTOR4(name, type, alignment)                                                                        \
    struct alignas(alignment) name {                                                                                   \
        type x, y, z, w;                                                                                               \
    };                                                                                                                 \
    static inline name make_##name(type x, type y, type z, type w) {                                                   \
        return {x, y, z, w};                                                                                           \
    }
EMULATOR_VECTOR2(float2, float, 8)
EMULATOR_VECTOR3(float3, float)
EMULATOR_VECTOR4(float4, float, 16)
EMULATOR_VECTOR2(int2, int, 8)
EMULATOR_VECTOR3(int3, int)
EMULATOR_VECTOR4(int4, int, 16)
EMULATOR_VECTOR2(uint2, unsigned, 8)
EMULATOR_VECTOR3(uint3, unsigned)
EMULATOR_VECTOR4(uint4, unsigned, 16)
EMULATOR_VECTOR2(double2, double, 16)
EMULATOR_VECTOR2(ushort2, unsigned short, 4)
EMULATOR_VECTOR4(ushort4, unsigned short, 8)
EMULATOR_VECTOR4(uchar4, unsigned char, 4)
EMULATOR_VECTOR4(char4, signed char, 4)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace emulator {

template <class T, class F>
static inline T bitsAs(F from) {
    static_assert(sizeof(T) == sizeof(F));
    T to;
    memcpy(&to, &from, sizeof to);
    return to;
}

// Denormals become 0 of the same sign, as with .ftz.
static inline float flushed(float x) {
    return std::fabs(x) < 0x1p-126f ? std::copysign(0.f, x) : x;
}

static inline uint16_t bf16FromFloat(float x) {
    const uint32_t bits = bitsAs<uint32_t>(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;  // the device's only NaN result
    return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
static inline float floatFromBf16(uint16_t x) {
    return bitsAs<float>(uint32_t(x) << 16);
}

#if defined(__aarch64__)
using Half = __fp16;  // g++ 12 has no _Float16 in C++ there
#else
using Half = _Float16;
#endif
static inline uint16_t f16FromFloat(float x) {
    return x != x ? 0x7fff : bitsAs<uint16_t>((Half)x);
}
static inline float floatFromF16(uint16_t x) {
    return (float)bitsAs<Half>(x);
}

// 8-bit floats with `fraction` bits of fraction, rounded to nearest even and saturating (cvt.rn.satfinite).
static inline uint8_t smallFloat(float x, int fraction, int bias, float largest, uint8_t largestCode) {
    const uint8_t sign = bitsAs<uint32_t>(x) >> 31 ? 0x80 : 0;
    if (x != x) return 0x7f;
    const double magnitude = std::fabs((double)x);
    if (magnitude == 0) return sign;
    int exponent;
    std::frexp(magnitude, &exponent);
    exponent -= 1;
    if (exponent < 1 - bias) exponent = 1 - bias;  // denormals share the smallest exponent
    const double scaled = std::nearbyint(std::ldexp(magnitude, fraction - exponent));
    if (std::ldexp(scaled, exponent - fraction) > largest) return sign | largestCode;
    int significand = (int)scaled;
    if (significand == 2 << fraction) {  // rounded up to the next power of two
        significand >>= 1;
        exponent++;
    }
    if (significand < 1 << fraction) return sign | (uint8_t)significand;
    return sign | uint8_t((exponent + bias) << fraction | (significand & ((1 << fraction) - 1)));
}
static inline uint8_t e4m3FromFloat(float x) {
    return smallFloat(x, 3, 7, 448.f, 0x7e);
}
static inline uint8_t e5m2FromFloat(float x) {
    return smallFloat(x, 2, 15, 57344.f, 0x7b);
}
static inline float floatFromE4m3(uint8_t x) {
    const int exponent = x >> 3 & 15, fraction = x & 7;
    const float sign = x & 0x80 ? -1.f : 1.f;
    if ((x & 0x7f) == 0x7f) return sign * NAN;
    return sign * (exponent ? std::ldexp(float(8 + fraction), exponent - 10) : std::ldexp(float(fraction), -9));
}
static inline float floatFromE5m2(uint8_t x) {
    return floatFromF16(uint16_t(x << 8));
}

}  // namespace emulator
