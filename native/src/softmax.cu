// Softmax and its gradient over rows.
#include "rows.cuh"

// 16-byte chunks of a row that a thread holds; wider or unaligned rows are read again from L1.
constexpr int CHUNKS = 4;

constexpr float LOG2_E = 1.44269504088896f;

// The difference is rounded before the product, not the product of each: exp(0) is 1 also for rows of large values.
DEVICE float exp_difference(float x, float max) {
    return ptx::ex2((x - max) * LOG2_E);
}

template <class T>
DEVICE void softmax_held(T* out, const T* x, int64_t rows, int columns, RowGroup& group) {
    constexpr int V = VEC<T>;
    for (int64_t row = group.firstRow; row < rows; row += group.stride) {
        float v[CHUNKS][V], max = -INF_F32, sum = 0;
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const int column = (group.lane + k * group.width) * V;
            if (column >= columns) continue;
            load_vec(v[k], x + row * columns + column);
#pragma unroll
            for (int i = 0; i < V; i++) max = fmaxf(max, v[k][i]);
        }
        max = group_max(max, group);
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            if ((group.lane + k * group.width) * V >= columns) continue;
#pragma unroll
            for (int i = 0; i < V; i++) {
                v[k][i] = exp_difference(v[k][i], max);
                sum += v[k][i];
            }
        }
        const float factor = 1.f / group_sum(sum, group);
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const int column = (group.lane + k * group.width) * V;
            if (column >= columns) continue;
#pragma unroll
            for (int i = 0; i < V; i++) v[k][i] *= factor;
            store_vec(out + row * columns + column, v[k]);
        }
    }
}

// Any width and, with V = 1, any alignment.
template <int V, class T>
DEVICE void softmax_reread(T* out, const T* x, int64_t rows, int columns, RowGroup& group) {
    const int first = group.lane * V, step = group.width * V;
    for (int64_t row = group.firstRow; row < rows; row += group.stride) {
        const T* const from = x + row * columns;
        float max = -INF_F32, sum = 0, v[V];
        for (int c = first; c < columns; c += step) {
            load_chunk(v, from + c);
#pragma unroll
            for (int i = 0; i < V; i++) max = fmaxf(max, v[i]);
        }
        max = group_max(max, group);
        for (int c = first; c < columns; c += step) {
            load_chunk(v, from + c);
#pragma unroll
            for (int i = 0; i < V; i++) sum += exp_difference(v[i], max);
        }
        const float factor = 1.f / group_sum(sum, group);
        for (int c = first; c < columns; c += step) {
            load_chunk(v, from + c);
#pragma unroll
            for (int i = 0; i < V; i++) v[i] = exp_difference(v[i], max) * factor;
            store_chunk(out + row * columns + c, v);
        }
    }
}

template <class T>
DEVICE void softmax(T* out, const T* x, int64_t rows, int columns, int width) {
    RowGroup group(width);
    if (!aligned16(out, x) || columns % VEC<T> != 0) {
        softmax_reread<1>(out, x, rows, columns, group);
    } else if (columns > CHUNKS * VEC<T> * width) {
        softmax_reread<VEC<T>>(out, x, rows, columns, group);
    } else {
        softmax_held(out, x, rows, columns, group);
    }
}

// softmax: out = exp(x - max) / sum of exp(x - max) over each row
// Bytes: 2 n c s
// Operations: ~6 n c, one of them an exponential
// Roofline: memory; 1.5 operations per byte in bf16
// Tile: 256 threads, one thread to 64 bytes of a row (32 to 256 to a row), held in registers. No copies ahead:
// attention and the loss have softmax of their own, this one is not in a training step
KERNEL_FLOATS(softmax, BOUNDS(256, 3), (T * out, const T* x, int64_t rows, int columns, int width),
              (softmax(out, x, rows, columns, width)))

// The row's dy and y are read for the sum and again, from L1, for dx: holding both would double the registers.
template <int V, class T>
DEVICE void softmax_grad_rows(T* dx, const T* dy, const T* y, int64_t rows, int columns, bool accumulate,
                              RowGroup& group) {
    const int first = group.lane * V, step = group.width * V;
    for (int64_t row = group.firstRow; row < rows; row += group.stride) {
        const int64_t start = row * columns;
        float sum = 0, a[V], b[V], old[V];
        for (int c = first; c < columns; c += step) {
            load_chunk(a, dy + start + c);
            load_chunk(b, y + start + c);
#pragma unroll
            for (int i = 0; i < V; i++) sum += a[i] * b[i];
        }
        sum = group_sum(sum, group);
        for (int c = first; c < columns; c += step) {
            load_chunk(a, dy + start + c);
            load_chunk(b, y + start + c);
            if (accumulate) load_chunk(old, dx + start + c);
#pragma unroll
            for (int i = 0; i < V; i++) a[i] = accumulate ? old[i] + b[i] * (a[i] - sum) : b[i] * (a[i] - sum);
            store_chunk(dx + start + c, a);
        }
    }
}

template <class T>
DEVICE void softmax_grad(T* dx, const T* dy, const T* y, int64_t rows, int columns, bool accumulate, int width) {
    RowGroup group(width);
    if (aligned16(dx, dy, y) && columns % VEC<T> == 0) {
        softmax_grad_rows<VEC<T>>(dx, dy, y, rows, columns, accumulate, group);
    } else {
        softmax_grad_rows<1>(dx, dy, y, rows, columns, accumulate, group);
    }
}

// softmax_grad: dx = y (dy - sum(dy y)) + beta dx over each row
// Bytes: 3 n c s (4 n c s accumulating)
// Operations: ~5 n c
// Roofline: memory; under 1 operation per byte
// Tile: as softmax; the second reading comes from L1
KERNEL_FLOATS(softmax_grad, BOUNDS(256, 4),
              (T * dx, const T* dy, const T* y, int64_t rows, int columns, int accumulate, int width),
              (softmax_grad(dx, dy, y, rows, columns, accumulate != 0, width)))
