// Optimizer steps over flat tensors: one launch clips, updates, decays and rounds. What changes from step to step
// (learning rate, step counter, gradient norm) is read from the device, so that a captured graph stays valid.
#include "stream.cuh"

constexpr int THREADS = 256;
constexpr int DECAY_GROUP = 256;  // elements that share one flag of weight decay

// The factor of all gradients. `norm` is {l2 norm, 1 if finite}.
DEVICE float clipping(const float* norm, float clip) {
    return clip > 0.f ? fminf(1.f, clip / (norm[0] + 1e-6f)) : 1.f;
}

// 1 - beta^step, without the cancellation of that for a beta near 1.
DEVICE float bias_correction(float log_beta, int32_t step) {
    return -expm1f(log_beta * (float)step);
}

// Writes the new master and its rounding; `values` may be the master itself.
template <int N, class V>
DEVICE void publish(V* values, float* master, int64_t i, const float (&w)[N]) {
    Chunk<float, N>::narrow(w).store(master + i);
    if ((const void*)values != (const void*)master) Chunk<V, N>::narrow(w).store(values + i);
}

template <class V, class G>
struct AdamW {
    V* values;
    float* master;
    float* m;
    float* v;
    const G* gradients;
    const uint8_t* decays;
    float clip, beta1, beta2, epsilon;
    float step_size;   // learning rate over the correction of m
    float root_scale;  // of the square root of v: its correction
    float kept;        // of a decaying weight

    template <int N>
    struct In {
        Chunk<G, N> g;
        Chunk<float, N> w, m, v;
        uint8_t decays;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<G, N>::load(gradients + i), Chunk<float, N>::load(master + i), Chunk<float, N>::load(m + i),
                Chunk<float, N>::load(v + i), decays[i / DECAY_GROUP]};
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
        Chunk<float, N>::narrow(mean).store(m + i);
        Chunk<float, N>::narrow(square).store(v + i);
        publish<N>(values, master, i, w);
    }
};

template <class V, class G>
DEVICE void adamw(V* values, float* master, float* m, float* v, const G* gradients, const float* rate,
                  const int32_t* step, const float* norm, const uint8_t* decays, float beta1, float beta2,
                  float log_beta1, float log_beta2, float epsilon, float weight_decay, float clip, int64_t n) {
    if (norm[1] == 0.f) return;
    AdamW<V, G> op{values,
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
                   1.f - *rate * weight_decay};
    each<4, 2>(n, aligned<4>(values) && aligned<4>(gradients) && aligned16(master, m, v), op);
}

#define ADAMW(values_suffix, V, gradients_suffix, G)                                                                  \
    KERNEL(adamw_##values_suffix##_##gradients_suffix, THREADS,                                                       \
           (V * values, float* master, float* m, float* v, const G* gradients, const float* rate,                     \
            const int32_t* step, const float* norm, const uint8_t* decays, float beta1, float beta2, float log_beta1, \
            float log_beta2, float epsilon, float weight_decay, float clip, int64_t n),                               \
           adamw(values, master, m, v, gradients, rate, step, norm, decays, beta1, beta2, log_beta1, log_beta2,       \
                 epsilon, weight_decay, clip, n))

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

template <class V, class G>
struct Sgd {
    V* values;
    float* master;
    float* momentum;
    const G* gradients;
    const uint8_t* decays;
    float clip, factor, rate, kept;

    template <int N>
    struct In {
        Chunk<G, N> g;
        Chunk<float, N> w, b;
        uint8_t decays;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<G, N>::load(gradients + i), Chunk<float, N>::load(master + i),
                Chunk<float, N>::load(momentum + i), decays[i / DECAY_GROUP]};
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
        Chunk<float, N>::narrow(b).store(momentum + i);
        publish<N>(values, master, i, w);
    }
};

template <class V, class G>
DEVICE void sgd(V* values, float* master, float* momentum, const G* gradients, const float* rate, const float* norm,
                const uint8_t* decays, float factor, float weight_decay, float clip, int64_t n) {
    if (norm[1] == 0.f) return;
    Sgd<V, G> op{values, master, momentum, gradients, decays, clipping(norm, clip), factor,
                 *rate,  1.f - *rate * weight_decay};
    each<4, 2>(n, aligned<4>(values) && aligned<4>(gradients) && aligned16(master, momentum), op);
}

#define SGD(values_suffix, V, gradients_suffix, G)                                                                   \
    KERNEL(sgd_##values_suffix##_##gradients_suffix, THREADS,                                                        \
           (V * values, float* master, float* momentum, const G* gradients, const float* rate, const float* norm,    \
            const uint8_t* decays, float factor, float weight_decay, float clip, int64_t n),                         \
           sgd(values, master, momentum, gradients, rate, norm, decays, factor, weight_decay, clip, n))

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
