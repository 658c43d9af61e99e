// chunk.cuh: a few neighbouring elements in registers, and the loop that streams whole tensors through them.
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
DEVICE void split(float (&v)[4], uint32_t word, uint8_t) {
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] = (float)(word >> 8 * i & 0xff);
}

DEVICE uint32_t join(const float (&v)[1], float) {
    return __float_as_uint(v[0]);
}
DEVICE uint32_t join(const float (&v)[1], int32_t) {
    return (uint32_t)from_float<int32_t>(v[0]);
}
DEVICE uint32_t join(const float (&v)[2], bf16) {
    return ptx::pack_bf16(v[0], v[1]);
}
DEVICE uint32_t join(const float (&v)[2], f16) {
    return ptx::pack_f16(v[0], v[1]);
}
DEVICE uint32_t join(const float (&v)[4], uint8_t) {
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) word |= (uint32_t)from_float<uint8_t>(v[i]) << 8 * i;
    return word;
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

// ---- streaming

// Runs `op` over units of N elements, from `first` to `units`, all threads of the grid side by side. `op.load<N>(i)`
// reads what element i and its neighbours need; `op.store<N>(i, in)` computes and writes. UNROLL loads are issued
// before the first is used: with the 2048 threads of an H200 multiprocessor, 2 loads of 16 bytes are 64 KiB in
// flight, and its share of 4.8 TB/s at about 1 us needs some 36 KiB.
template <int N, int UNROLL, class Op>
DEVICE void stream(int64_t first, int64_t units, Op& op) {
    const int64_t stride = gridThreads();
    for (int64_t unit = first + gridThread(); unit < units; unit += UNROLL * stride) {
        typename Op::template In<N> in[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            if (unit + u * stride < units) in[u] = op.template load<N>((unit + u * stride) * N);
        }
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            if (unit + u * stride < units) op.template store<N>((unit + u * stride) * N, in[u]);
        }
    }
}

// All n elements, in units of N when the pointers allow it; what is left over one by one.
template <int N, int UNROLL, class Op>
DEVICE void each(int64_t n, bool aligned, Op& op) {
    const int64_t units = aligned ? n / N : 0;
    if (units > 0) stream<N, UNROLL>(0, units, op);
    stream<1, 1>(units * N, n, op);
}

// out = f(x) + beta * out element by element, for `each`.
template <class O, class T, class F>
struct Map {
    O* out;
    const T* x;
    float beta;
    F f;

    static constexpr int N = TOGETHER<O, T>;

    template <int N>
    struct In {
        Chunk<T, N> x;
        Chunk<O, N> before;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        In<N> in;
        in.x = Chunk<T, N>::load(x + i);
        if (beta != 0.f) in.before = Chunk<O, N>::load(out + i);
        return in;
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float v[N], before[N];
        in.x.widen(v);
#pragma unroll
        for (int j = 0; j < N; j++) v[j] = f(v[j]);
        if (beta != 0.f) {
            in.before.widen(before);
#pragma unroll
            for (int j = 0; j < N; j++) v[j] += before[j];
        }
        Chunk<O, N>::narrow(v).store(out + i);
    }
};
