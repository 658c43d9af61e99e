// norm.cuh: LayerNorm and RMSNorm of rows, for the kernel that writes their result and the one that casts it.
#pragma once
#include "rows.cuh"

// 16-byte chunks of a row that a thread holds, so that x is read once: a warp has rows up to 2 KiB, 256 threads rows up
// to 16 KiB (8192 columns of bf16). 512 threads would take twice that, but spill at two blocks on a multiprocessor.
constexpr int CHUNKS = 4;

struct NormShape {
    int64_t rows;
    int columns;
    float epsilon;
};

// Of `sum` of squares; the exact division and root cost a row's threads one turn each, and keep inf and 0 right.
DEVICE float reciprocal_deviation(float sum, NormShape shape) {
    return 1.f / sqrtf(sum / (float)shape.columns + shape.epsilon);
}

// The normed value of a sum's part less the mean, `b` only where the norm is centred: one way to round for all kernels.
template <bool CENTRED>
DEVICE float normed(float v, float rstd, float w, float b) {
    return CENTRED ? fmaf(v * rstd, w, b) : v * rstd * w;
}

template <class T>
struct NormOperands {
    T* out;    // null: statistics and total alone are wanted
    T* total;  // may be `residual`
    float* mean;
    float* rstd;
    const T* x;
    const T* residual;
    const T* weight;
    const T* bias;
};

// Rows of aligned 16-byte chunks, held in registers. The next row is under way while this one is reduced: its copies
// start when the first sum has used every value of this row, so one stage is enough.
template <class T, bool CENTRED>
DEVICE void norm_held(const NormOperands<T>& o, NormShape shape, RowGroup& group, int chunks) {
    constexpr int V = VEC<T>;
    DYN_SMEM(memory, 16);
    const int columns = shape.columns;
    const RowRing<T, CHUNKS> ring = {memory, o.residual ? 2 : 1, chunks, columns / V};
    auto fetch = [&](int64_t row) {
        if (row < shape.rows) {
            ring.fetch(0, 0, o.x + row * columns, group);
            if (o.residual) ring.fetch(0, 1, o.residual + row * columns, group);
        }
        ptx::cp_async_commit();
    };
    fetch(group.firstRow);
    for (int64_t row = group.firstRow; row < shape.rows; row += group.stride) {
        ptx::cp_async_wait<0>();
        float v[CHUNKS][V], sum = 0;
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const int chunk = group.lane + k * group.width;
            if (chunk >= ring.vectors) continue;
            ring.read(v[k], 0, 0, k);
            if (o.residual) {
                float r[V];
                ring.read(r, 0, 1, k);
#pragma unroll
                for (int i = 0; i < V; i++) v[k][i] += r[i];
                const auto stored = Chunk<T, V>::narrow(v[k]);
                stored.store(o.total + row * columns + chunk * V);
                stored.widen(v[k]);  // the norm is of what the next layers will read
            }
#pragma unroll
            for (int i = 0; i < V; i++) sum = CENTRED ? sum + v[k][i] : fmaf(v[k][i], v[k][i], sum);
        }
        sum = group_sum(sum, group);
        fetch(row + group.stride);
        float mean = 0;
        if (CENTRED) {  // two passes over registers: E(x^2) - E(x)^2 loses a large mean's digits
            mean = sum / (float)columns;
            sum = 0;
#pragma unroll
            for (int k = 0; k < CHUNKS; k++) {
                if (group.lane + k * group.width >= ring.vectors) continue;
#pragma unroll
                for (int i = 0; i < V; i++) {
                    v[k][i] -= mean;
                    sum = fmaf(v[k][i], v[k][i], sum);
                }
            }
            sum = group_sum(sum, group);
        }
        const float rstd = reciprocal_deviation(sum, shape);
        if (group.lane == 0) {
            if (CENTRED) o.mean[row] = mean;
            o.rstd[row] = rstd;
        }
        if (!o.out) continue;
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const int chunk = group.lane + k * group.width;
            if (chunk >= ring.vectors) continue;
            float w[V], b[V] = {};
            load_vec(w, o.weight + chunk * V);
            if (CENTRED) load_vec(b, o.bias + chunk * V);
#pragma unroll
            for (int i = 0; i < V; i++) v[k][i] = normed<CENTRED>(v[k][i], rstd, w[i], b[i]);
            store_vec(o.out + row * columns + chunk * V, v[k]);
        }
    }
    ptx::cp_async_wait<0>();
}

// Any width and, with V = 1, any alignment: the row is read again for each pass, by then from L1.
template <class T, bool CENTRED, int V>
DEVICE void norm_reread(const NormOperands<T>& o, NormShape shape, RowGroup& group) {
    const int columns = shape.columns, first = group.lane * V, step = group.width * V;
    for (int64_t row = group.firstRow; row < shape.rows; row += group.stride) {
        const T* x = o.x + row * columns;
        float sum = 0;
        for (int c = first; c < columns; c += step) {
            float v[V];
            load_chunk(v, x + c);
            if (o.residual) {
                float r[V];
                load_chunk(r, o.residual + row * columns + c);
#pragma unroll
                for (int i = 0; i < V; i++) v[i] = to_float(from_float<T>(v[i] + r[i]));
                store_chunk(o.total + row * columns + c, v);
            }
#pragma unroll
            for (int i = 0; i < V; i++) sum = CENTRED ? sum + v[i] : fmaf(v[i], v[i], sum);
        }
        sum = group_sum(sum, group);
        if (o.residual) x = o.total + row * columns;  // each thread reads back its own columns
        float mean = 0;
        if (CENTRED) {
            mean = sum / (float)columns;
            sum = 0;
            for (int c = first; c < columns; c += step) {
                float v[V];
                load_chunk(v, x + c);
#pragma unroll
                for (int i = 0; i < V; i++) {
                    const float d = v[i] - mean;
                    sum = fmaf(d, d, sum);
                }
            }
            sum = group_sum(sum, group);
        }
        const float rstd = reciprocal_deviation(sum, shape);
        if (group.lane == 0) {
            if (CENTRED) o.mean[row] = mean;
            o.rstd[row] = rstd;
        }
        for (int c = first; o.out && c < columns; c += step) {
            float v[V], w[V], b[V] = {};
            load_chunk(v, x + c);
            load_chunk(w, o.weight + c);
            if (CENTRED) load_chunk(b, o.bias + c);
#pragma unroll
            for (int i = 0; i < V; i++) v[i] = normed<CENTRED>(v[i] - mean, rstd, w[i], b[i]);
            store_chunk(o.out + row * columns + c, v);
        }
    }
}

// `chunks` of 16 bytes per thread and row, as far as the row can be held.
template <class T, bool CENTRED>
DEVICE void norm(const NormOperands<T>& o, NormShape shape, RowGroup group, int chunks) {
    // Null pointers are aligned.
    const bool aligned = aligned16(o.out, o.total, o.x, o.residual, o.weight, o.bias);
    if (!aligned || shape.columns % VEC<T> != 0) {
        norm_reread<T, CENTRED, 1>(o, shape, group);
    } else if (chunks > CHUNKS) {
        norm_reread<T, CENTRED, VEC<T>>(o, shape, group);
    } else {
        norm_held<T, CENTRED>(o, shape, group, chunks);
    }
}
