// Random numbers: initial values of weights.
#include "philox.cuh"
#include "stream.cuh"

constexpr int THREADS = 256;

// Normal numbers of standard deviation `deviation`, or uniform ones in [0, 1) when that is 0, for `each`.
template <class T>
struct Draw {
    T* out;
    float deviation;
    RandomStream stream;

    template <int N>
    struct In {};

    template <int N>
    DEVICE In<N> load(int64_t) const {
        return {};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>&) const {
        float v[N];
        if (deviation == 0.f) {
            uint32_t words[N];
            stream.words(words, i);
#pragma unroll
            for (int j = 0; j < N; j++) v[j] = philox_uniform(words[j]);
        } else {
            normals(v, i);
#pragma unroll
            for (int j = 0; j < N; j++) v[j] = __fmul_rn(deviation, v[j]);
        }
        Chunk<T, N>::narrow(v).store(out + i);
    }

    DEVICE void normals(float (&v)[1], int64_t i) const {
        const uint4 b = stream.block(i / 4);
        const float2 pair = i & 2 ? philox_normals(b.z, b.w) : philox_normals(b.x, b.y);
        v[0] = i & 1 ? pair.y : pair.x;
    }

    template <int N>
    DEVICE void normals(float (&v)[N], int64_t i) const {
#pragma unroll
        for (int k = 0; k < N; k += 4) {
            const uint4 b = stream.block((i + k) / 4);
            const float2 low = philox_normals(b.x, b.y), high = philox_normals(b.z, b.w);
            v[k] = low.x;
            v[k + 1] = low.y;
            v[k + 2] = high.x;
            v[k + 3] = high.y;
        }
    }
};

template <class T>
DEVICE void draw(T* out, float deviation, int64_t seed, int32_t site, int64_t n) {
    Draw<T> op{out, deviation, RandomStream(seed, site, 0, 0)};
    each<4, 1>(n, aligned<4>(out), op);
}

// random: Philox normal numbers of deviation `deviation` (0: uniform in [0, 1))
// Bytes: n s
// Operations: ~45 n normal, ~20 n uniform  (Philox 70 per 4 elements, Box-Muller 60 per 2)
// Roofline: arithmetic, above the ~12 operations per bf16 element that the memory leaves time for; runs once
// Tile: 256 threads, one Philox block of 4 elements per thread and turn
KERNEL_FLOATS(random, THREADS, (T* out, float deviation, int64_t seed, int32_t site, int64_t n),
              draw(out, deviation, seed, site, n))
