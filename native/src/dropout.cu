// Dropout, forward and backward: the mask is recomputed, never stored.
#include "philox.cuh"
#include "stream.cuh"

constexpr int THREADS = 256;

template <class T>
struct Dropout {
    T* out;
    const T* x;
    uint32_t least;  // smallest 24-bit word that keeps an element
    float scale;
    float beta;
    int64_t first;  // index of element 0
    RandomStream stream;

    template <int N>
    struct In {
        Chunk<T, N> x, before;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        In<N> in;
        in.x = Chunk<T, N>::load(x + i);
        if (beta != 0.f) in.before = Chunk<T, N>::load(out + i);
        return in;
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float v[N];
        in.x.widen(v);
        uint32_t words[N];
        stream.words(words, first + i);
#pragma unroll
        for (int j = 0; j < N; j++) v[j] = words[j] >> 8 >= least ? v[j] * scale : 0.f;
        if (beta != 0.f) {
            float before[N];
            in.before.widen(before);
#pragma unroll
            for (int j = 0; j < N; j++) v[j] += before[j];
        }
        Chunk<T, N>::narrow(v).store(out + i);
    }
};

template <class T>
DEVICE void dropout(T* out, const T* x, int32_t least, float scale, int64_t seed, const int32_t* counters,
                    int32_t site, int64_t first, float beta, int64_t n) {
    Dropout<T> op{out, x, (uint32_t)least, scale, beta, first, RandomStream(seed, site, counters[0], counters[1])};
    each<VEC<T>, 2>(n, aligned16(out, x) && first % 4 == 0, op);
}

// dropout: out = x scale where the element's Philox word is at least `least`, else 0, + beta out
// Bytes: (2 + beta) n s
// Operations: ~20 n                     (Philox 70 per 4 elements)
// Roofline: memory for f32; for bf16 5 operations per byte, near what an H200 issues at 4.8 TB/s (6 per byte)
// Tile: 256 threads, two 16-byte accesses per thread and turn; 4 or 8 elements are whole Philox blocks where the first
// has an index that is a multiple of 4, as that of a row always has; else each element draws a block of its own
KERNEL_FLOATS(dropout, THREADS,
              (T* out, const T* x, int32_t least, float scale, int64_t seed, const int32_t* counters, int32_t site,
               int64_t first, float beta, int64_t n),
              dropout(out, x, least, scale, seed, counters, site, first, beta, n))
