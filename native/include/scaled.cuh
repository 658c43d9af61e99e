// scaled.cuh: matrices in low precision: values of 8 or 4 bits, blocks of which share a scale.
#pragma once
#include "chunk.cuh"

// The types, in the order of DType.
constexpr int E4M3 = 0, E5M2 = 1, I8 = 2, I4 = 3;

// What shares a scale: `rows` by `columns`; as many blocks as `across` lie side by side.
struct Blocks {
    int32_t rows, columns, across;

    DEVICE int64_t at(int32_t row, int32_t column) const {
        return (int64_t)(row / rows) * across + column / columns;
    }

    // Whether N neighbours of a row from a multiple of N on always lie in one block of a matrix of so many columns.
    template <int N>
    DEVICE bool hold(int32_t matrix_columns) const {
        return columns % N == 0 || columns >= matrix_columns;
    }
};

// ---- neighbours of a row as one word: the first in the low bits, 8 bits each or, of I4, 4

// Of `count` elements, N at most, from element `at` on; it is even for I4. `vector`: N are one access.
template <int N>
DEVICE uint64_t load_codes(const uint8_t* values, int64_t at, int type, bool vector, int count) {
    const uint8_t* p = values + (type == I4 ? at / 2 : at);
    if (vector && count >= N) {
        if (N == 8 && type != I4) return *reinterpret_cast<const uint64_t*>(p);
        if (N == 8 || type != I4) return *reinterpret_cast<const uint32_t*>(p);
        return *reinterpret_cast<const uint16_t*>(p);
    }
    uint64_t codes = 0;
    const int elements = min(count, N), bytes = type == I4 ? (elements + 1) / 2 : elements;
#pragma unroll
    for (int i = 0; i < N; i++) {
        if (i < bytes) codes |= (uint64_t)p[i] << 8 * i;
    }
    return codes;
}

DEVICE void store_codes(uint8_t* values, int64_t at, int type, bool vector, int count, uint64_t codes) {
    uint8_t* p = values + (type == I4 ? at / 2 : at);
    if (vector && count >= 8) {
        if (type == I4) {
            *reinterpret_cast<uint32_t*>(p) = (uint32_t)codes;
        } else {
            *reinterpret_cast<uint64_t*>(p) = codes;
        }
        return;
    }
    const int elements = min(count, 8), bytes = type == I4 ? (elements + 1) / 2 : elements;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if (i < bytes) p[i] = (uint8_t)(codes >> 8 * i);
    }
}

// Whether rows of so many elements can be walked N at a time.
template <int N>
DEVICE bool steps_aligned(const uint8_t* values, int32_t columns) {
    return columns % N == 0 && aligned<N>(values);
}

// As floats.
template <int N, class T>
DEVICE void widen_as(float (&v)[N], uint64_t codes) {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = to_float(T{(uint8_t)(codes >> 8 * i)});
}

template <int N>
DEVICE void widen(float (&v)[N], uint64_t codes, int type) {
    if (type == E4M3) {
        widen_as<N, e4m3>(v, codes);
    } else if (type == E5M2) {
        widen_as<N, e5m2>(v, codes);
    } else if (type == I8) {
        widen_as<N, i8>(v, codes);
    } else {
        // Eight more than the value is the last 4 bits of a float that is 2^23 larger: no conversion.
        const uint32_t shifted = (uint32_t)codes ^ 0x88888888u;
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = __uint_as_float((shifted >> 4 * i & 15) | 0x4b000000u) - 8388616.f;
    }
}

template <class T>
DEVICE uint64_t narrow_as(const float (&v)[8]) {
    const float lo[4] = {v[0], v[1], v[2], v[3]}, hi[4] = {v[4], v[5], v[6], v[7]};
    return join(lo, T{}) | (uint64_t)join(hi, T{}) << 32;
}

DEVICE uint64_t narrow(const float (&v)[8], int type) {
    if (type == E4M3) return narrow_as<e4m3>(v);
    if (type == E5M2) return narrow_as<e5m2>(v);
    if (type == I8) return narrow_as<i8>(v);
    uint32_t codes = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) codes |= (uint32_t)(min(max(__float2int_rn(v[i]), -8), 7) & 15) << 4 * i;
    return codes;
}
