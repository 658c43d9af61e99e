// chunk.cuh: a few neighbouring elements in registers, their bits or as f32.
#pragma once
#include "kernel.cuh"

// ---- the elements of one 32-bit word, the first in the low bits

DEVICE void split(float (&v)[1], uint32_t word, float) {
    v[0] = __uint_as_float(word);
}
DEVICE void split(float (&v)[1], uint32_t word, int32_t) {
    v[0] = (float)(int32_t)word;
}
DEVICE void split(float (&v)[2], uint32_t word, bf16) {
    v[0] = __uint_as_float(word << 16);
    v[1] = __uint_as_float(word & 0xffff0000u);
}
DEVICE void split(float (&v)[2], uint32_t word, f16) {
    v[0] = ptx::f16_to_f32((uint16_t)word);
    v[1] = ptx::f16_to_f32((uint16_t)(word >> 16));
}
template <class T>  // of 8 bits
DEVICE void split(float (&v)[4], uint32_t word, T) {
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] = to_float(T{(uint8_t)(word >> 8 * i)});
}

DEVICE uint32_t join(const float (&v)[1], float) {
    return __float_as_uint(v[0]);
}
DEVICE uint32_t join(const float (&v)[1], int32_t) {
    return (uint32_t)from_float<int32_t>(v[0]);
}
template <class T>
DEVICE uint32_t join(const float (&v)[2], T) {
    return pack2(v[0], v[1], T{});
}
DEVICE uint32_t join(const float (&v)[4], uint8_t) {
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) word |= (uint32_t)from_float<uint8_t>(v[i]) << 8 * i;
    return word;
}
DEVICE uint32_t join(const float (&v)[4], i8) {
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) word |= (uint32_t)from_float<i8>(v[i]).bits << 8 * i;
    return word;
}
template <class T>  // e4m3, e5m2
DEVICE uint32_t join(const float (&v)[4], T) {
    return pack2(v[0], v[1], T{}) | pack2(v[2], v[3], T{}) << 16;
}

// ---- chunks

// The bits of N neighbouring elements of T: 4, 8 or 16 bytes that one access moves, or a single element. Kernels hold
// chunks, not floats, between load and arithmetic: for 16-bit types half the registers, so twice the loads in flight.
template <class T, int N>
struct Chunk {
    static constexpr int BYTES = N * (int)sizeof(T);
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "one access");
    static constexpr int PER_WORD = 4 / (int)sizeof(T);
    uint32_t words[BYTES / 4];

    // Here and in `store` p is a multiple of BYTES.
    DEVICE static Chunk load(const T* p) {
        Chunk c;
        if constexpr (BYTES == 16) {
            const uint4 raw = ptx::ld128(p);
            c.words[0] = raw.x;
            c.words[1] = raw.y;
            c.words[2] = raw.z;
            c.words[3] = raw.w;
        } else if constexpr (BYTES == 8) {
            const uint64_t raw = *reinterpret_cast<const uint64_t*>(p);
            c.words[0] = (uint32_t)raw;
            c.words[1] = (uint32_t)(raw >> 32);
        } else {
            c.words[0] = *reinterpret_cast<const uint32_t*>(p);
        }
        return c;
    }

    DEVICE void store(T* p) const {
        if constexpr (BYTES == 16) {
            ptx::st128(p, make_uint4(words[0], words[1], words[2], words[3]));
        } else if constexpr (BYTES == 8) {
            *reinterpret_cast<uint64_t*>(p) = (uint64_t)words[1] << 32 | words[0];
        } else {
            *reinterpret_cast<uint32_t*>(p) = words[0];
        }
    }

    DEVICE void widen(float (&v)[N]) const {
#pragma unroll
        for (int w = 0; w < BYTES / 4; w++) {
            float part[PER_WORD];
            split(part, words[w], T{});
#pragma unroll
            for (int i = 0; i < PER_WORD; i++) v[w * PER_WORD + i] = part[i];
        }
    }

    // Rounded to nearest even.
    DEVICE static Chunk narrow(const float (&v)[N]) {
        Chunk c;
#pragma unroll
        for (int w = 0; w < BYTES / 4; w++) {
            float part[PER_WORD];
#pragma unroll
            for (int i = 0; i < PER_WORD; i++) part[i] = v[w * PER_WORD + i];
            c.words[w] = join(part, T{});
        }
        return c;
    }
};

template <class T>
struct Chunk<T, 1> {
    T element;

    DEVICE static Chunk load(const T* p) {
        return Chunk{*p};
    }
    DEVICE void store(T* p) const {
        *p = element;
    }
    DEVICE void widen(float (&v)[1]) const {
        v[0] = to_float(element);
    }
    DEVICE static Chunk narrow(const float (&v)[1]) {
        return Chunk{from_float<T>(v[0])};
    }
};

// Reads N elements at p, which must be 16-byte aligned; N * sizeof(T) is a multiple of 16. load_vec<8> reads 8 bf16
// in one access and 8 floats in two, so that kernels can mix the types of a row.
template <int N, class T>
DEVICE void load_vec(float (&v)[N], const T* p) {
    static_assert(N % VEC<T> == 0, "whole 16-byte accesses");
#pragma unroll
    for (int i = 0; i < N / VEC<T>; i++) {
        float part[VEC<T>];
        Chunk<T, VEC<T>>::load(p + i * VEC<T>).widen(part);
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
        Chunk<T, VEC<T>>::narrow(part).store(p + i * VEC<T>);
    }
}

// `count` elements at p, V at most, zero for the others; a whole 16-byte access or several when `vector` says that
// p and V allow it.
template <int V, class E>
DEVICE void load_row(float (&v)[V], const E* p, bool vector, int count) {
    if constexpr (V * sizeof(E) % 16 == 0) {
        if (vector) {
            load_vec(v, p);
            return;
        }
    }
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = i < count ? to_float(p[i]) : 0.f;
}

template <int V, class E>
DEVICE void store_row(E* p, const float (&v)[V], bool vector, int count) {
    if constexpr (V * sizeof(E) % 16 == 0) {
        if (vector) {
            store_vec(p, v);
            return;
        }
    }
#pragma unroll
    for (int i = 0; i < V; i++) {
        if (i < count) p[i] = from_float<E>(v[i]);
    }
}

// Elements per access when several types move together: 16 bytes of the widest. The narrower take 8 or 4 bytes, so
// that the lanes of a warp stay side by side in every tensor: two 16-byte accesses of the widest would each touch
// only half of every 32-byte sector.
template <class A, class B>
constexpr int TOGETHER = 16 / (int)(sizeof(A) > sizeof(B) ? sizeof(A) : sizeof(B));

// True when p is a multiple of the bytes of N elements.
template <int N, class T>
DEVICE bool aligned(const T* p) {
    return (uint64_t)p % (N * sizeof(T)) == 0;
}
