// Optimizer steps over flat tensors: one launch clips, updates, decays and rounds. What changes from step to step
// (learning rate, step counter, gradient norm) is read from the device, so that a captured graph stays valid.
#include "philox.cuh"
#include "stream.cuh"

constexpr int THREADS = 256;
constexpr int GROUP = 256;  // elements that share one flag of weight decay, and one origin of random numbers

// The factor of all gradients. `norm` is {l2 norm, 1 if finite}.
DEVICE float clipping(const float* norm, float clip) {
    return clip > 0.f ? fminf(1.f, clip / (norm[0] + 1e-6f)) : 1.f;
}

// 1 - beta^step, without the cancellation of that for a beta near 1.
DEVICE float bias_correction(float log_beta, int32_t step) {
    return -expm1f(log_beta * (float)step);
}

// Writes the new master and its rounding; `values` may be the master itself.
template <int N, class V, class S>
DEVICE void publish(V* values, S* master, int64_t i, const float (&w)[N]) {
    Chunk<S, N>::narrow(w).store(master + i);
    if ((const void*)values != (const void*)master) Chunk<V, N>::narrow(w).store(values + i);
}

// State in f32: nothing to round.
struct Exact {
    using State = float;
    struct Origin {};

    DEVICE Origin origin(int64_t) const {
        return {};
    }
    template <class... X>
    DEVICE void round(int64_t, Origin, X&...) const {}
};

// State in bf16, rounded up or down at random: io.jacquard.tensor.spi.StateRounding.
struct Stochastic {
    using State = bf16;
    struct Origin {
        int32_t site, group;
    };

    int64_t seed;
    int32_t step;
    const int32_t* origins;

    DEVICE Origin origin(int64_t i) const {
        const int32_t* p = origins + i / GROUP * 2;
        return {p[0], p[1]};
    }

    // `random` is of 16 bits. What bf16 has not is cut off here, so that the rounding to nearest which follows does
    // nothing.
    DEVICE static float rounded(float x, uint32_t random) {
        const uint32_t bits = __float_as_uint(x), magnitude = bits & 0x7fffffffu;
        if (magnitude >= 0x7f800000u) return x;
        const uint32_t sum = magnitude + random;
        const uint32_t finite = sum < 0x7f800000u ? sum : 0x7f7fffffu;
        return __uint_as_float((finite | (bits & 0x80000000u)) & 0xffff0000u);
    }

    template <int N>
    DEVICE void words(uint32_t (&word)[N], int64_t i, Origin o) const {
        RandomStream(seed, o.site, step, 0).words(word, (int64_t)(uint32_t)o.group * GROUP + i % GROUP);
    }

    template <int N>
    DEVICE void round(int64_t i, Origin o, float (&w)[N], float (&mean)[N]) const {
        uint32_t word[N];
        words(word, i, o);
#pragma unroll
        for (int j = 0; j < N; j++) {
            w[j] = rounded(w[j], word[j] & 0xffffu);
            mean[j] = rounded(mean[j], word[j] >> 16);
        }
    }

    template <int N>
    DEVICE void round(int64_t i, Origin o, float (&w)[N], float (&mean)[N], float (&square)[N]) const {
        uint32_t word[N];
        words(word, i, o);
#pragma unroll
        for (int j = 0; j < N; j++) {
            w[j] = rounded(w[j], word[j] & 0xffffu);
            mean[j] = rounded(mean[j], word[j] >> 16);
            square[j] = rounded(square[j], (word[j] + (word[j] << 16)) >> 16);
        }
    }
};

template <class V, class G, class R>
struct AdamW {
    using S = typename R::State;
    V* values;
    S* master;
    S* m;
    S* v;
    const G* gradients;
    const uint8_t* decays;
    float clip, beta1, beta2, epsilon;
    float step_size;   // learning rate over the correction of m
    float root_scale;  // of the square root of v: its correction
    float kept;        // of a decaying weight
    R rounding;

    template <int N>
    struct In {
        Chunk<G, N> g;
        Chunk<S, N> w, m, v;
        uint8_t decays;
        typename R::Origin origin;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<G, N>::load(gradients + i), Chunk<S, N>::load(master + i), Chunk<S, N>::load(m + i),
                Chunk<S, N>::load(v + i),         decays[i / GROUP],             rounding.origin(i)};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float g[N], w[N], mean[N], square[N];
        in.g.widen(g);
        in.w.widen(w);
        in.m.widen(mean);
        in.v.widen(square);
        const float keep = in.decays ? kept : 1.f;
#pragma unroll
        for (int j = 0; j < N; j++) {
            g[j] *= clip;  // before it is squared: an unclipped square may overflow
            mean[j] = beta1 * mean[j] + (1.f - beta1) * g[j];
            square[j] = beta2 * square[j] + (1.f - beta2) * (g[j] * g[j]);
            w[j] = w[j] * keep - step_size * (mean[j] / (sqrtf(square[j]) * root_scale + epsilon));
        }
        rounding.round(i, in.origin, w, mean, square);
        Chunk<S, N>::narrow(mean).store(m + i);
        Chunk<S, N>::narrow(square).store(v + i);
        publish<N>(values, master, i, w);
    }
};

template <class V, class G, class R>
DEVICE void adamw(V* values, typename R::State* master, typename R::State* m, typename R::State* v,
                  const G* gradients, const float* rate, const int32_t* step, const float* norm,
                  const uint8_t* decays, float beta1, float beta2, float log_beta1, float log_beta2, float epsilon,
                  float weight_decay, float clip, R rounding, int64_t n) {
    if (norm[1] == 0.f) return;
    AdamW<V, G, R> op{values,
                      master,
                      m,
                      v,
                      gradients,
                      decays,
                      clipping(norm, clip),
                      beta1,
                      beta2,
                      epsilon,
                      *rate / bias_correction(log_beta1, *step),
                      1.f / sqrtf(bias_correction(log_beta2, *step)),
                      1.f - *rate * weight_decay,
                      rounding};
    each<4, 2>(n, aligned<4>(values) && aligned<4>(gradients) && aligned<4>(master) && aligned<4>(m) && aligned<4>(v),
               op);
}

#define ADAMW(values_suffix, V, gradients_suffix, G)                                                                  \
    KERNEL(adamw_##values_suffix##_##gradients_suffix, THREADS,                                                       \
           (V * values, float* master, float* m, float* v, const G* gradients, const float* rate,                     \
            const int32_t* step, const float* norm, const uint8_t* decays, float beta1, float beta2, float log_beta1, \
            float log_beta2, float epsilon, float weight_decay, float clip, int64_t n),                               \
           adamw(values, master, m, v, gradients, rate, step, norm, decays, beta1, beta2, log_beta1, log_beta2,       \
                 epsilon, weight_decay, clip, Exact{}, n))

// adamw: m, v, master and its rounding in values, from clipped gradients; nothing when norm[1] is 0
// Bytes: (24 + s_values + s_gradients) n, 28 n for bf16 both; 24 + s_gradients when values are the master
// Operations: ~30 n                     (division and square root correctly rounded)
// Roofline: memory; 1 operation per byte
// Tile: 256 threads, two turns of 4 elements: 16 bytes of each f32 tensor beside 8 of bf16, 112 bytes in flight
ADAMW(f32, float, f32, float)
ADAMW(f32, float, bf16, bf16)
ADAMW(f32, float, f16, f16)
ADAMW(bf16, bf16, f32, float)
ADAMW(bf16, bf16, bf16, bf16)
ADAMW(bf16, bf16, f16, f16)
ADAMW(f16, f16, f32, float)
ADAMW(f16, f16, bf16, bf16)
ADAMW(f16, f16, f16, f16)

// adamw_rounded: values, m and v in bf16, rounded stochastically; nothing when norm[1] is 0
// Bytes: (12 + s_gradients) n, 14 n for bf16
// Operations: ~66 n                     (Philox 70 per 4 elements, and 18 for three roundings beside adamw's 30)
// Roofline: memory; 5 operations per byte, near what an H200 issues at 4.8 TB/s (6 per byte)
// Tile: as adamw, one Philox block for 4 elements; 8 bytes of each bf16 tensor, 64 bytes in flight
KERNEL_FLOATS(adamw_rounded, THREADS,
              (bf16 * values, bf16* m, bf16* v, const T* gradients, const float* rate, const int32_t* step,
               const float* norm, const uint8_t* decays, float beta1, float beta2, float log_beta1, float log_beta2,
               float epsilon, float weight_decay, float clip, int64_t seed, const int32_t* rounding_step,
               const int32_t* origins, int64_t n),
              adamw(values, values, m, v, gradients, rate, step, norm, decays, beta1, beta2, log_beta1, log_beta2,
                    epsilon, weight_decay, clip, Stochastic{seed, *rounding_step, origins}, n))

template <class V, class G, class R>
struct Sgd {
    using S = typename R::State;
    V* values;
    S* master;
    S* momentum;
    const G* gradients;
    const uint8_t* decays;
    float clip, factor, rate, kept;
    R rounding;

    template <int N>
    struct In {
        Chunk<G, N> g;
        Chunk<S, N> w, b;
        uint8_t decays;
        typename R::Origin origin;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<G, N>::load(gradients + i), Chunk<S, N>::load(master + i), Chunk<S, N>::load(momentum + i),
                decays[i / GROUP], rounding.origin(i)};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float g[N], w[N], b[N];
        in.g.widen(g);
        in.w.widen(w);
        in.b.widen(b);
        const float keep = in.decays ? kept : 1.f;
#pragma unroll
        for (int j = 0; j < N; j++) {
            b[j] = factor * b[j] + clip * g[j];
            w[j] = w[j] * keep - rate * b[j];
        }
        rounding.round(i, in.origin, w, b);
        Chunk<S, N>::narrow(b).store(momentum + i);
        publish<N>(values, master, i, w);
    }
};

template <class V, class G, class R>
DEVICE void sgd(V* values, typename R::State* master, typename R::State* momentum, const G* gradients,
                const float* rate, const float* norm, const uint8_t* decays, float factor, float weight_decay,
                float clip, R rounding, int64_t n) {
    if (norm[1] == 0.f) return;
    Sgd<V, G, R> op{values, master, momentum, gradients, decays, clipping(norm, clip), factor,
                    *rate,  1.f - *rate * weight_decay, rounding};
    each<4, 2>(n, aligned<4>(values) && aligned<4>(gradients) && aligned<4>(master) && aligned<4>(momentum), op);
}

#define SGD(values_suffix, V, gradients_suffix, G)                                                                   \
    KERNEL(sgd_##values_suffix##_##gradients_suffix, THREADS,                                                        \
           (V * values, float* master, float* momentum, const G* gradients, const float* rate, const float* norm,    \
            const uint8_t* decays, float factor, float weight_decay, float clip, int64_t n),                         \
           sgd(values, master, momentum, gradients, rate, norm, decays, factor, weight_decay, clip, Exact{}, n))

// sgd: momentum, master and its rounding in values, from clipped gradients; nothing when norm[1] is 0
// Bytes: (16 + s_values + s_gradients) n, 20 n for bf16 both
// Operations: ~6 n
// Roofline: memory; 0.3 operations per byte
// Tile: as adamw, 80 bytes in flight
SGD(f32, float, f32, float)
SGD(f32, float, bf16, bf16)
SGD(f32, float, f16, f16)
SGD(bf16, bf16, f32, float)
SGD(bf16, bf16, bf16, bf16)
SGD(bf16, bf16, f16, f16)
SGD(f16, f16, f32, float)
SGD(f16, f16, bf16, bf16)
SGD(f16, f16, f16, f16)

// sgd_rounded: values and momentum in bf16, rounded stochastically; nothing when norm[1] is 0
// Bytes: (8 + s_gradients) n, 10 n for bf16
// Operations: ~36 n                     (Philox 70 per 4 elements, and 12 for two roundings beside sgd's 6)
// Roofline: memory; 4 operations per byte
// Tile: as adamw_rounded, 48 bytes in flight
KERNEL_FLOATS(sgd_rounded, THREADS,
              (bf16 * values, bf16* momentum, const T* gradients, const float* rate, const float* norm,
               const uint8_t* decays, float factor, float weight_decay, float clip, int64_t seed,
               const int32_t* rounding_step, const int32_t* origins, int64_t n),
              sgd(values, values, momentum, gradients, rate, norm, decays, factor, weight_decay, clip,
                  Stochastic{seed, *rounding_step, origins}, n))
