// Causal attention and its gradient in fp32 arithmetic on the ordinary units: every dtype, head dimension up to 256,
// any number of heads and any alignment. The tensor-core files serve the common shapes; this one serves the rest and
// F32.
//
// 256 threads form a 16 x 16 grid (ty, tx). A tile has R rows of queries and R of keys; thread (ty, tx) holds rows
// ty * R/16 + i and, of scores, columns tx + 16 j. Loads are element by element: consecutive threads read consecutive
// elements, and a tile costs R/8 (R = 64: 8) multiply-adds per element loaded and thread, so wider loads would not
// show.
#include "attention.cuh"
#include "chunk.cuh"
#include "reduce.cuh"

constexpr int THREADS = 256;
constexpr int GRID = 16;

// Four floats more than the row: the sixteen rows that tx addresses start in different groups of four banks.
template <int D>
constexpr int ROW = D + 4;

template <class T, int R, int D>
DEVICE void load_tile(float* tile, const T* rows, int64_t stride, int first, int end, int d) {
#pragma unroll 4
    for (int i = threadIdx.x; i < R * D; i += THREADS) {
        const int row = i / D;
        const int column = i % D;
        const bool inside = first + row < end && column < d;
        tile[row * ROW<D> + column] = inside ? to_float(rows[(first + row) * stride + column]) : 0.0f;
    }
}

// s[i][j] = a[ty R/16 + i] . b[tx + 16 j] over the first d columns (columns up to the next multiple of 4 hold zeros).
template <int R, int D>
DEVICE void dot_rows(float (&s)[R / GRID][R / GRID], const float* a, const float* b, int d) {
    constexpr int N = R / GRID;
    const float* aRow = a + threadIdx.x / GRID * N * ROW<D>;
    const float* bRow = b + threadIdx.x % GRID * ROW<D>;
#pragma unroll
    for (int i = 0; i < N; i++) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            s[i][j] = 0;
        }
    }
#pragma unroll 2
    for (int k = 0; k < d; k += 4) {
        float4 x[N];
#pragma unroll
        for (int i = 0; i < N; i++) {
            x[i] = *reinterpret_cast<const float4*>(aRow + i * ROW<D> + k);
        }
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float4 y = *reinterpret_cast<const float4*>(bRow + j * GRID * ROW<D> + k);
#pragma unroll
            for (int i = 0; i < N; i++) {
                s[i][j] = fmaf(x[i].x, y.x, fmaf(x[i].y, y.y, fmaf(x[i].z, y.z, fmaf(x[i].w, y.w, s[i][j]))));
            }
        }
    }
}

// Sums held by a thread: its R/16 rows, and of D columns the groups of four 4 tx + 64 g.
template <int R, int D>
struct Sums {
    static constexpr int ROWS = R / GRID;
    static constexpr int GROUPS = D / (4 * GRID);
    float4 at[ROWS][GROUPS];

    DEVICE void clear() {
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
#pragma unroll
            for (int g = 0; g < GROUPS; g++) {
                at[i][g] = make_float4(0, 0, 0, 0);
            }
        }
    }

    DEVICE void scale(int i, float by) {
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            at[i][g].x *= by;
            at[i][g].y *= by;
            at[i][g].z *= by;
            at[i][g].w *= by;
        }
    }

    // += weights[row][k] * tile[k][column], k < R; `weights` has rows of R + 4
    DEVICE void add(const float* weights, const float* tile) {
        const float* w = weights + threadIdx.x / GRID * ROWS * ROW<R>;
        const float* column = tile + threadIdx.x % GRID * 4;
#pragma unroll 4
        for (int k = 0; k < R; k++) {
#pragma unroll
            for (int g = 0; g < GROUPS; g++) {
                const float4 y = *reinterpret_cast<const float4*>(column + k * ROW<D> + g * 4 * GRID);
#pragma unroll
                for (int i = 0; i < ROWS; i++) {
                    const float x = w[i * ROW<R> + k];
                    at[i][g].x = fmaf(x, y.x, at[i][g].x);
                    at[i][g].y = fmaf(x, y.y, at[i][g].y);
                    at[i][g].z = fmaf(x, y.z, at[i][g].z);
                    at[i][g].w = fmaf(x, y.w, at[i][g].w);
                }
            }
        }
    }

    template <class T>
    DEVICE void store(int i, T* row, float factor, int d) const {
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            const int column = threadIdx.x % GRID * 4 + g * 4 * GRID;
            const float value[4] = {at[i][g].x, at[i][g].y, at[i][g].z, at[i][g].w};
#pragma unroll
            for (int e = 0; e < 4; e++) {
                if (column + e < d) {
                    row[column + e] = from_float<T>(value[e] * factor);
                }
            }
        }
    }
};

// attention_simt: out = softmax(scale q k^T, causal) v, one pass over the keys with a running maximum
// Bytes: B T (2 H + 2 Hkv) D s + 4 B H T, keys and values once more for every further tile of queries (mostly from L2)
// Operations: 2 B H T^2 D (half of the full square) + B H T^2 / 2 exponentials
// Roofline: compute, fp32 units (67 TFLOP/s on an H200); arithmetic intensity ~T/2 per element, far right of the ridge
// Tile: R x R scores (64, or 32 for head dimension 256), 256 threads of R/16 x R/16: 4 loads of 16 bytes from shared
// memory per 32 multiply-adds; queries and one of keys or values resident, 85 KiB at D = 128: two blocks per processor
template <class T, int D, int R>
DEVICE void attention(T* out, float* lse, const T* qkv, Heads s) {
    constexpr int N = R / GRID;
    DYN_SMEM(shared, 16);
    float* query = reinterpret_cast<float*>(shared);
    float* keyValue = query + R * ROW<D>;
    float* p = keyValue + R * ROW<D>;
    const int h = blockIdx.y;
    const int b = blockIdx.z;
    const int first = (gridDim.x - 1 - blockIdx.x) * R; // the longest rows first, short ones fill the tail
    const int row = threadIdx.x / GRID * N;
    const int column = threadIdx.x % GRID;
    const T* keys = qkv + s.key(b, h);
    const T* values = qkv + s.value(b, h);
    load_tile<T, R, D>(query, qkv + s.query(b, h), s.width(), first, s.time, s.dim);

    Sums<R, D> sums;
    sums.clear();
    float largest[N], total[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
        largest[i] = -INF_F32;
        total[i] = 0;
    }
    for (int key = 0; key < min(first + R, s.time); key += R) {
        load_tile<T, R, D>(keyValue, keys, s.width(), key, s.time, s.dim);
        __syncthreads();
        float score[N][N];
        dot_rows<R, D>(score, query, keyValue, s.dim);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float top = largest[i];
#pragma unroll
            for (int j = 0; j < N; j++) {
                const bool seen = key + column + j * GRID <= first + row + i;
                score[i][j] = seen ? score[i][j] * s.scale : -INF_F32;
                top = fmaxf(top, score[i][j]);
            }
            top = warp_max<GRID>(top); // finite: the first tile holds key 0, which every row sees
            const float correction = expf(largest[i] - top);
            largest[i] = top;
            float sum = 0;
#pragma unroll
            for (int j = 0; j < N; j++) {
                const float e = expf(score[i][j] - top);
                p[(row + i) * ROW<R> + column + j * GRID] = e;
                sum += e;
            }
            total[i] = total[i] * correction + sum;
            sums.scale(i, correction);
        }
        __syncthreads(); // the keys are done with, p is written
        load_tile<T, R, D>(keyValue, values, s.width(), key, s.time, s.dim);
        __syncthreads();
        sums.add(p, keyValue);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        const float sum = warp_sum<GRID>(total[i]);
        const int t = first + row + i;
        if (t < s.time) {
            sums.store(i, out + s.result(b, t, h), 1.0f / sum, s.dim);
            if (column == 0) {
                lse[s.statistic(b, h) + t] = largest[i] + logf(sum);
            }
        }
    }
}

// attention_simt_grad_query: for a tile of queries, p and ds again, dq = scale ds k
// Bytes: B T (3 H + 2 Hkv) D s + 8 B H T, keys and values again for every further tile of queries
// Operations: 3 B H T^2 D + B H T^2 / 2 exponentials
// Roofline: compute, fp32 units
// Tile: 32 x 32 scores (16 x 16 for head dimension 256), four tiles resident: 72 KiB at D = 128
template <class T, int D, int R>
DEVICE void attention_grad_query(T* dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, Heads s) {
    constexpr int N = R / GRID;
    DYN_SMEM(shared, 16);
    float* query = reinterpret_cast<float*>(shared);
    float* dResult = query + R * ROW<D>;
    float* key = dResult + R * ROW<D>;
    float* value = key + R * ROW<D>;
    float* dScore = value + R * ROW<D>;
    const int h = blockIdx.y;
    const int b = blockIdx.z;
    const int first = (gridDim.x - 1 - blockIdx.x) * R;
    const int row = threadIdx.x / GRID * N;
    load_tile<T, R, D>(query, qkv + s.query(b, h), s.width(), first, s.time, s.dim);
    load_tile<T, R, D>(dResult, dOut + s.result(b, 0, h), s.heads * s.dim, first, s.time, s.dim);
    float rowLse[N], rowDelta[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
        const int64_t at = s.statistic(b, h) + min(first + row + i, s.time - 1);
        rowLse[i] = lse[at];
        rowDelta[i] = delta[at];
    }
    Sums<R, D> sums;
    sums.clear();
    for (int k = 0; k < min(first + R, s.time); k += R) {
        load_tile<T, R, D>(key, qkv + s.key(b, h), s.width(), k, s.time, s.dim);
        load_tile<T, R, D>(value, qkv + s.value(b, h), s.width(), k, s.time, s.dim);
        __syncthreads();
        float score[N][N], dp[N][N];
        dot_rows<R, D>(score, query, key, s.dim);
        dot_rows<R, D>(dp, dResult, value, s.dim);
#pragma unroll
        for (int i = 0; i < N; i++) {
#pragma unroll
            for (int j = 0; j < N; j++) {
                const int column = threadIdx.x % GRID + j * GRID;
                const float p = k + column <= first + row + i ? expf(score[i][j] * s.scale - rowLse[i]) : 0.0f;
                dScore[(row + i) * ROW<R> + column] = p * (dp[i][j] - rowDelta[i]);
            }
        }
        __syncthreads();
        sums.add(dScore, key);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        if (first + row + i < s.time) {
            sums.store(i, dQkv + s.query(b, h) + (first + row + i) * s.width(), s.scale, s.dim);
        }
    }
}

// attention_simt_grad_key: for a tile of keys, over the query heads that share it and their tiles, in
// order, dv += p^T dout and dk += ds^T q; each sum belongs to one thread, so the result does not depend on the run
// Bytes: B T (2 H + 4 Hkv) D s + 8 B H T, queries and dout again for every further tile of keys
// Operations: 4 B H T^2 D + B H T^2 / 2 exponentials
// Roofline: compute, fp32 units
// Tile: as for dq, with the scores transposed: rows are keys
template <class T, int D, int R>
DEVICE void attention_grad_key(T* dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, Heads s) {
    constexpr int N = R / GRID;
    DYN_SMEM(shared, 16);
    float* key = reinterpret_cast<float*>(shared);
    float* value = key + R * ROW<D>;
    float* query = value + R * ROW<D>;
    float* dResult = query + R * ROW<D>;
    float* p = dResult + R * ROW<D>;
    float* dScore = p + R * ROW<R>;
    const int b = blockIdx.z;
    const int group = s.heads / s.kvHeads;
    const int firstHead = blockIdx.y * group;
    const int first = blockIdx.x * R;
    const int row = threadIdx.x / GRID * N;
    load_tile<T, R, D>(key, qkv + s.key(b, firstHead), s.width(), first, s.time, s.dim);
    load_tile<T, R, D>(value, qkv + s.value(b, firstHead), s.width(), first, s.time, s.dim);
    Sums<R, D> dKey, dValue;
    dKey.clear();
    dValue.clear();
    for (int h = firstHead; h < firstHead + group; h++) {
        for (int q = first; q < s.time; q += R) {
            load_tile<T, R, D>(query, qkv + s.query(b, h), s.width(), q, s.time, s.dim);
            load_tile<T, R, D>(dResult, dOut + s.result(b, 0, h), s.heads * s.dim, q, s.time, s.dim);
            __syncthreads();
            float score[N][N], dp[N][N];
            dot_rows<R, D>(score, key, query, s.dim);
            dot_rows<R, D>(dp, value, dResult, s.dim);
#pragma unroll
            for (int j = 0; j < N; j++) {
                const int column = threadIdx.x % GRID + j * GRID;
                const int t = q + column;
                const int64_t at = s.statistic(b, h) + min(t, s.time - 1);
                const float columnLse = lse[at];
                const float columnDelta = delta[at];
#pragma unroll
                for (int i = 0; i < N; i++) {
                    const bool seen = t < s.time && first + row + i <= t;
                    const float e = seen ? expf(score[i][j] * s.scale - columnLse) : 0.0f;
                    p[(row + i) * ROW<R> + column] = e;
                    dScore[(row + i) * ROW<R> + column] = e * (dp[i][j] - columnDelta);
                }
            }
            __syncthreads();
            dValue.add(p, dResult);
            dKey.add(dScore, query);
            __syncthreads();
        }
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        const int t = first + row + i;
        if (t < s.time) {
            dKey.store(i, dQkv + s.key(b, firstHead) + t * s.width(), s.scale, s.dim);
            dValue.store(i, dQkv + s.value(b, firstHead) + t * s.width(), 1.0f, s.dim);
        }
    }
}

// attention_delta: delta[b, h, t] = sum over d of dout * out, the row term of the softmax gradient
// Bytes: 2 B T H D s + 4 B T H
// Operations: 2 B T H D
// Roofline: memory
// Tile: 8 lanes per row and head, 16 bytes per lane and turn: consecutive rows and heads lie side by side in memory
template <class T>
DEVICE void attention_delta(float* delta, const T* dOut, const T* out, int64_t rows, Heads s) {
    constexpr int LANES = 8;
    const int lane = threadIdx.x % LANES;
    const int64_t first = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / LANES;
    const int64_t step = (int64_t)gridDim.x * blockDim.x / LANES;
    const bool vector = aligned16(dOut, out) && s.dim % VEC<T> == 0;
    // every lane of a warp takes part in every turn, those past the end with nothing to add
    for (int64_t turn = first - first % 4; turn < rows; turn += step) {
        const int64_t row = turn + first % 4;
        float sum = 0;
        if (row < rows) {
            const T* x = dOut + row * s.dim;
            const T* y = out + row * s.dim;
            if (vector) {
                for (int i = lane * VEC<T>; i < s.dim; i += LANES * VEC<T>) {
                    float a[VEC<T>], c[VEC<T>];
                    load_vec(a, x + i);
                    load_vec(c, y + i);
#pragma unroll
                    for (int e = 0; e < VEC<T>; e++) {
                        sum = fmaf(a[e], c[e], sum);
                    }
                }
            } else {
                for (int i = lane; i < s.dim; i += LANES) {
                    sum = fmaf(to_float(x[i]), to_float(y[i]), sum);
                }
            }
        }
        sum = warp_sum<LANES>(sum);
        if (lane == 0 && row < rows) {
            const int64_t h = row % s.heads;
            const int64_t t = row / s.heads % s.time;
            delta[s.statistic((int)(row / s.heads / s.time), (int)h) + t] = sum;
        }
    }
}

// Two blocks per multiprocessor is what shared memory allows: without the bound ptxas spills to fit a third.
#define ATTENTION_SIMT(suffix, T, size, forward, backward)                                                             \
    KERNEL(attention_simt_d##size##_##suffix, BOUNDS(THREADS, 2), (T * out, float* lse, const T* qkv, HEADS),          \
           (attention<T, size, forward>(out, lse, qkv, HEADS_GIVEN)))                                                  \
    KERNEL(attention_simt_grad_query_d##size##_##suffix, BOUNDS(THREADS, 2),                                           \
           (T * dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, HEADS),                       \
           (attention_grad_query<T, size, backward>(dQkv, dOut, qkv, lse, delta, HEADS_GIVEN)))                        \
    KERNEL(attention_simt_grad_key_d##size##_##suffix, BOUNDS(THREADS, 2),                                             \
           (T * dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, HEADS),                       \
           (attention_grad_key<T, size, backward>(dQkv, dOut, qkv, lse, delta, HEADS_GIVEN)))

#define ATTENTION_SIMT_ALL(suffix, T)                                                                                  \
    ATTENTION_SIMT(suffix, T, 64, 64, 32)                                                                              \
    ATTENTION_SIMT(suffix, T, 128, 64, 32)                                                                             \
    ATTENTION_SIMT(suffix, T, 256, 32, 16)                                                                             \
    KERNEL(attention_delta_##suffix, THREADS,                                                                          \
           (float* delta, const T* dOut, const T* out, int64_t rows, HEADS),                                           \
           (attention_delta<T>(delta, dOut, out, rows, HEADS_GIVEN)))

ATTENTION_SIMT_ALL(f32, float)
ATTENTION_SIMT_ALL(bf16, bf16)
ATTENTION_SIMT_ALL(f16, f16)
