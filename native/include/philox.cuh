// philox.cuh: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), the only source of
// random numbers, bit for bit as io.jacquard.tensor.spi.Philox describes it.
#pragma once
#include "kernel.cuh"

// Four random words as a pure function of key and counter.
DEVICE uint4 philox(uint32_t key0, uint32_t key1, uint4 counter) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * counter.x;
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * counter.z;
        counter = make_uint4((uint32_t)(p1 >> 32) ^ counter.y ^ key0, (uint32_t)p1,
                             (uint32_t)(p0 >> 32) ^ counter.w ^ key1, (uint32_t)p0);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

// What the elements of one call share. Element i, counted over the whole logical tensor, has word i % 4 of block i / 4.
struct RandomStream {
    uint32_t key0, key1, site, step, micro_batch;

    DEVICE RandomStream(int64_t seed, int32_t site, int32_t step, int32_t micro_batch)
        : key0((uint32_t)seed),
          key1((uint32_t)((uint64_t)seed >> 32)),
          site((uint32_t)site),
          step((uint32_t)step),
          micro_batch((uint32_t)micro_batch) {}

    DEVICE uint4 block(int64_t index) const {
        const uint32_t high = (uint32_t)((uint64_t)index >> 32) & 0xffffu;
        return philox(key0, key1, make_uint4((uint32_t)index, site, step, high | micro_batch << 16));
    }

    // The words of elements i to i + N - 1; i is a multiple of N, and N of 4, or N is 1.
    template <int N>
    DEVICE void words(uint32_t (&w)[N], int64_t i) const {
        if constexpr (N == 1) {
            const uint4 b = block(i / 4);
            const uint32_t low = i & 1 ? b.y : b.x, high = i & 1 ? b.w : b.z;  // no indexing: that is local memory
            w[0] = i & 2 ? high : low;
        } else {
#pragma unroll
            for (int k = 0; k < N; k += 4) {
                const uint4 b = block((i + k) / 4);
                w[k] = b.x;
                w[k + 1] = b.y;
                w[k + 2] = b.z;
                w[k + 3] = b.w;
            }
        }
    }
};

// In [0, 1), exact.
DEVICE float philox_uniform(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24f;
}

// ---- normal numbers
//
// Every operation below is one correctly rounded f32 operation, the same as in Philox.java: hence __fmaf_rn where it
// says fma, and __fmul_rn and __fadd_rn elsewhere, which the compiler may not contract. No exp, log, sin of the
// device: those differ between devices.

// ln of a normal float in (0, 1]: x = m 2^e, m in [sqrt(1/2), sqrt(2)), polynomial of Cephes logf.
DEVICE float philox_log(float x) {
    const uint32_t bits = __float_as_uint(x);
    int32_t e = (int32_t)(bits >> 23) - 126;
    float m = __uint_as_float((bits & 0x7fffffu) | 0x3f000000u);
    if (m < 0.70710678f) {
        e -= 1;
        m = __fadd_rn(m, m);
    }
    m = __fadd_rn(m, -1.f);
    const float z = __fmul_rn(m, m);
    float p = 7.0376836292e-2f;
    p = __fmaf_rn(p, m, -1.1514610310e-1f);
    p = __fmaf_rn(p, m, 1.1676998740e-1f);
    p = __fmaf_rn(p, m, -1.2420140846e-1f);
    p = __fmaf_rn(p, m, 1.4249322787e-1f);
    p = __fmaf_rn(p, m, -1.6668057665e-1f);
    p = __fmaf_rn(p, m, 2.0000714765e-1f);
    p = __fmaf_rn(p, m, -2.4999993993e-1f);
    p = __fmaf_rn(p, m, 3.3333331174e-1f);
    float y = __fmul_rn(__fmul_rn(p, m), z);
    y = __fmaf_rn((float)e, -2.12194440e-4f, y);
    y = __fmaf_rn(-0.5f, z, y);
    return __fmaf_rn((float)e, 0.693359375f, __fadd_rn(m, y));
}

// Both for |x| <= pi / 4.
DEVICE float philox_sin(float x) {
    const float z = __fmul_rn(x, x);
    const float p = __fmaf_rn(__fmaf_rn(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f);
    return __fmaf_rn(__fmul_rn(p, z), x, x);
}
DEVICE float philox_cos(float x) {
    const float z = __fmul_rn(x, x);
    const float p =
        __fmaf_rn(__fmaf_rn(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f);
    return __fmaf_rn(__fmul_rn(p, z), z, __fmaf_rn(-0.5f, z, 1.f));
}

// Two standard normal numbers from two words, by Box-Muller.
DEVICE float2 philox_normals(uint32_t first, uint32_t second) {
    const float u = __fmul_rn((float)((first >> 8) + 1), 0x1p-24f);  // (0, 1]
    const float r = __fsqrt_rn(__fmul_rn(-2.f, philox_log(u)));
    const float quarters = __fmul_rn((float)(second >> 8), 0x1p-22f);  // of a turn, [0, 4)
    const int32_t k = (int32_t)__fadd_rn(quarters, 0.5f);
    const float x = __fmul_rn(__fadd_rn(quarters, -(float)k), 1.57079633f);
    const float s = philox_sin(x), c = philox_cos(x);
    const float cosine = k & 1 ? s : c, sine = k & 1 ? c : s;
    return make_float2(__fmul_rn(r, (k + 1) & 2 ? -cosine : cosine), __fmul_rn(r, k & 2 ? -sine : sine));
}
