// Element by element: sums, products, activations and their gradients.
#include "activation.cuh"
#include "stream.cuh"

constexpr int THREADS = 256;

// ---- sums and products

// out = f(x, y, before), all of one type, for `each`; before as in Map.
template <class T, class F>
struct Map2 {
    T* out;
    const T* x;
    const T* y;
    float beta;
    F f;

    template <int N>
    struct In {
        Chunk<T, N> x, y, before;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<T, N>::load(x + i), Chunk<T, N>::load(y + i), load_before<N>(out + i, beta)};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float a[N], b[N], before[N];
        in.x.widen(a);
        in.y.widen(b);
        in.before.widen(before);
#pragma unroll
        for (int j = 0; j < N; j++) a[j] = f(a[j], b[j], before[j]);
        Chunk<T, N>::narrow(a).store(out + i);
    }
};

template <class O, class T, class F>
DEVICE void map(O* out, const T* x, float beta, int64_t n, F f) {
    Map<O, T, F> op{out, x, beta, f};
    constexpr int N = TOGETHER<O, T>;
    each<N, 2>(n, aligned<N>(out) && aligned<N>(x), op);
}

template <class T, class F>
DEVICE void map2(T* out, const T* x, const T* y, float beta, int64_t n, F f) {
    Map2<T, F> op{out, x, y, beta, f};
    each<VEC<T>, 2>(n, aligned16(out, x, y), op);
}

template <class O, class T>
DEVICE void axpby(O* out, float a, const T* x, float beta, int64_t n) {
    map(out, x, beta, n, [a](float v, float before) { return fmaf(a, v, before); });
}

// axpby: out = a x + beta out
// Bytes: (2 + beta) n s                 (s = bytes per element)
// Operations: 2 n
// Roofline: memory; 0.5 operations per byte at most
// Tile: 256 threads, two 16-byte accesses per thread and turn: what a multiprocessor needs in flight for full bandwidth
KERNEL_FLOATS(axpby, THREADS, (T* out, float a, const T* x, float beta, int64_t n), axpby(out, a, x, beta, n))

// axpby_to_f32_bf16: the same, bf16 added into f32
// Bytes: (2 + 4 + 4 beta) n
// Operations: 2 n
// Roofline: memory
// Tile: 256 threads, two turns of 4 elements each: 8 bytes of bf16 beside 16 of f32
KERNEL(axpby_to_f32_bf16, THREADS, (float* out, float a, const bf16* x, float beta, int64_t n), axpby(out, a, x, beta, n))

// axpby_to_f32_f16: the same, f16 added into f32
// Bytes: (2 + 4 + 4 beta) n
// Operations: 2 n
// Roofline: memory
// Tile: as axpby_to_f32_bf16
KERNEL(axpby_to_f32_f16, THREADS, (float* out, float a, const f16* x, float beta, int64_t n), axpby(out, a, x, beta, n))

template <class T>
DEVICE void scale(T* out, const T* x, const float* factor, int64_t n) {
    const float k = *factor;
    if (k == 1.f && out == x) return;
    map(out, x, 0.f, n, [k](float v, float) { return k * v; });
}

// scale: out = x * factor[0]; nothing when that would change nothing
// Bytes: 2 n s
// Operations: n
// Roofline: memory
// Tile: as axpby
KERNEL_FLOATS(scale, THREADS, (T* out, const T* x, const float* factor, int64_t n), scale(out, x, factor, n))

// add: out = x + y
// Bytes: 3 n s
// Operations: n
// Roofline: memory
// Tile: 256 threads, two 16-byte accesses per operand, thread and turn
KERNEL_FLOATS(add, THREADS, (T* out, const T* x, const T* y, int64_t n),
              map2(out, x, y, 0.f, n, [](float a, float b, float) { return a + b; }))

// mul: out = x y + beta out
// Bytes: (3 + beta) n s
// Operations: 2 n
// Roofline: memory
// Tile: as add
KERNEL_FLOATS(mul, THREADS, (T* out, const T* x, const T* y, float beta, int64_t n),
              map2(out, x, y, beta, n, [](float a, float b, float before) { return fmaf(a, b, before); }))

// a / b and its rest. Almost always both fit 32 bits, where a division takes a quarter of the instructions.
DEVICE int64_t divide(int64_t a, int32_t b, int32_t& rest) {
    if (a >> 32 == 0) {
        const uint32_t q = (uint32_t)a / (uint32_t)b;
        rest = (int32_t)((uint32_t)a - q * (uint32_t)b);
        return q;
    }
    const int64_t q = a / b;
    rest = (int32_t)(a - q * b);
    return q;
}

template <class T>
struct AddRow {
    T* out;
    const T* x;
    const T* row;
    int32_t columns;

    template <int N>
    struct In {
        Chunk<T, N> x, row;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        int32_t column;
        divide(i, columns, column);
        return {Chunk<T, N>::load(x + i), Chunk<T, N>::load(row + column)};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float a[N], b[N];
        in.x.widen(a);
        in.row.widen(b);
#pragma unroll
        for (int j = 0; j < N; j++) a[j] += b[j];
        Chunk<T, N>::narrow(a).store(out + i);
    }
};

template <class T>
DEVICE void add_row(T* out, const T* x, const T* row, int64_t n, int32_t columns) {
    AddRow<T> op{out, x, row, columns};
    each<VEC<T>, 2>(n, aligned16(out, x, row) && columns % VEC<T> == 0, op);
}

// add_row: out[n, c] = x[n, c] + row[c]
// Bytes: 2 n c s + c s                  (the row is read from L1 and L2 after its first use)
// Operations: n c
// Roofline: memory
// Tile: as add; one 32-bit division per 16 bytes finds the column
KERNEL_FLOATS(add_row, THREADS, (T* out, const T* x, const T* row, int64_t n, int32_t columns),
              add_row(out, x, row, n, columns))

// ---- activations

// gelu: out = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
// Bytes: 2 n s
// Operations: ~10 n, two of them exp and reciprocal
// Roofline: memory; for bf16 2.5 operations per byte, and 2 of 16 special functions per clock and element
// Tile: as axpby
KERNEL_FLOATS(gelu, THREADS, (T* out, const T* x, int64_t n),
              map(out, x, 0.f, n, [](float v, float) { return gelu<T>(v); }))

// gelu_grad: dx = dy gelu'(x) + beta dx
// Bytes: (3 + beta) n s
// Operations: ~16 n
// Roofline: memory; for bf16 2.7 operations per byte
// Tile: as add
KERNEL_FLOATS(gelu_grad, THREADS, (T* dx, const T* dy, const T* x, float beta, int64_t n),
              map2(dx, dy, x, beta, n,
                   [](float g, float v, float before) { return fmaf(g, gelu_slope<T>(v), before); }))

// Element i of [n, f] belongs to gate x[gate] and to up, f elements on.
DEVICE int64_t gate_of(int64_t i, int32_t f) {
    int32_t column;
    const int64_t row = divide(i, f, column);
    return row * 2 * f + column;
}

template <class T>
struct SwiGlu {
    T* out;
    const T* x;
    int32_t f;

    template <int N>
    struct In {
        Chunk<T, N> gate, up;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        const T* gate = x + gate_of(i, f);
        return {Chunk<T, N>::load(gate), Chunk<T, N>::load(gate + f)};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        float gate[N], up[N];
        in.gate.widen(gate);
        in.up.widen(up);
#pragma unroll
        for (int j = 0; j < N; j++) up[j] = swiglu<T>(gate[j], up[j]);
        Chunk<T, N>::narrow(up).store(out + i);
    }
};

template <class T>
DEVICE void swiglu(T* out, const T* x, int64_t n, int32_t f) {
    SwiGlu<T> op{out, x, f};
    each<VEC<T>, 2>(n, aligned16(out, x) && f % VEC<T> == 0, op);
}

// swiglu: out[n, f] = gate sigmoid(gate) up; x[n, 2 f] holds gate, then up
// Bytes: 3 n f s
// Operations: ~8 n f
// Roofline: memory; for bf16 1.3 operations per byte
// Tile: as add; one 32-bit division per 16 bytes finds the row
KERNEL_FLOATS(swiglu, THREADS, (T* out, const T* x, int64_t n, int32_t f), swiglu(out, x, n, f))

template <class T>
struct SwiGluGrad {
    T* dx;
    const T* dy;
    const T* x;
    float beta;
    int32_t f;

    template <int N>
    struct In {
        Chunk<T, N> dy, gate, up, gate_before, up_before;
        int64_t at;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        In<N> in;
        in.at = gate_of(i, f);
        in.dy = Chunk<T, N>::load(dy + i);
        in.gate = Chunk<T, N>::load(x + in.at);
        in.up = Chunk<T, N>::load(x + in.at + f);
        in.gate_before = load_before<N>(dx + in.at, beta);
        in.up_before = load_before<N>(dx + in.at + f, beta);
        return in;
    }

    template <int N>
    DEVICE void store(int64_t, const In<N>& in) const {
        float g[N], gate[N], up[N], gate_before[N], up_before[N];
        in.dy.widen(g);
        in.gate.widen(gate);
        in.up.widen(up);
        in.gate_before.widen(gate_before);
        in.up_before.widen(up_before);
#pragma unroll
        for (int j = 0; j < N; j++) {
            float slope;
            const float s = sigmoid<T>(gate[j], slope);
            const float silu = gate[j] * s;
            const float silu_slope = fmaf(gate[j], slope, s);
            gate[j] = fmaf(g[j] * up[j], silu_slope, gate_before[j]);
            up[j] = fmaf(g[j], silu, up_before[j]);
        }
        Chunk<T, N>::narrow(gate).store(dx + in.at);
        Chunk<T, N>::narrow(up).store(dx + in.at + f);
    }
};

template <class T>
DEVICE void swiglu_grad(T* dx, const T* dy, const T* x, float beta, int64_t n, int32_t f) {
    SwiGluGrad<T> op{dx, dy, x, beta, f};
    each<VEC<T>, 1>(n, aligned16(dx, dy, x) && f % VEC<T> == 0, op);
}

// swiglu_grad: gradient of swiglu with respect to gate and up, + beta dx; dy is [n, f]
// Bytes: (5 + 2 beta) n f s
// Operations: ~16 n f
// Roofline: memory; for bf16 1.6 operations per byte
// Tile: 256 threads, three 16-byte loads per thread and turn are in flight without unrolling
KERNEL_FLOATS(swiglu_grad, THREADS, (T* dx, const T* dy, const T* x, float beta, int64_t n, int32_t f),
              swiglu_grad(dx, dy, x, beta, n, f))
