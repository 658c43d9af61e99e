// Gradients of LayerNorm and RMSNorm. With hat = (x - mean) rstd and g = dy weight, per row of c columns
//   dx = rstd (g - mean(g) - hat mean(g hat))      (without mean(g) for RMSNorm)
// and over the rows dWeight = sum dy hat, dBias = sum dy.
//
// One kernel reads x and dy once, writes dx, and leaves one partial row of dWeight and dBias per block; a second one
// adds the partial rows in order. The grid is as small as the device can be filled with, since each block costs a
// partial row.
#include "rows.cuh"

template <class T>
struct NormGradOperands {
    T* dx;            // null: not wanted
    float* partials;  // [blocks, 2, columns] (RMSNorm: 1), null: not wanted
    const T* dy;
    const T* x;
    const float* mean;
    const float* rstd;
    const T* weight;
};

struct NormGradShape {
    int64_t rows;
    int columns;
    bool accumulate;  // into dx
};

// The two sums of a row, then its means, by columns.
template <bool CENTRED>
DEVICE void row_means(float& g, float& gHat, RowGroup& group, int columns) {
    if (CENTRED) {
        float sums[2] = {g, gHat};
        group_reduce<Add>(sums, group);
        g = sums[0] / (float)columns;
        gHat = sums[1] / (float)columns;
    } else {
        g = 0;
        gHat = group_sum(gHat, group) / (float)columns;
    }
}

// A thread's sums over the rows that its group has seen.
template <int CHUNKS, int V>
struct ColumnSums {
    float weight[CHUNKS][V] = {}, bias[CHUNKS][V] = {};
};

// Adds up the groups' sums through shared memory, group after group, and writes the block's partial row.
template <bool CENTRED, int CHUNKS, int V>
DEVICE void write_partials(float* partials, ColumnSums<CHUNKS, V>& sums, unsigned char* memory, const RowGroup& group,
                           int columns) {
    constexpr int ROWS = CENTRED ? 2 : 1;
    float* const shared = reinterpret_cast<float*>(memory);
    float* const out = partials + (int64_t)blockIdx.x * ROWS * columns;
    for (int turn = 0; turn < group.groups; turn++) {
        __syncthreads();  // the first one: other groups may still read rows there
        if (turn != group.index) continue;
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const int column = (group.lane + k * group.width) * V;
            if (column >= columns) continue;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float v[V];
                if (turn > 0) load_vec(v, shared + r * columns + column);
#pragma unroll
                for (int i = 0; i < V; i++) {
                    const float own = r == 0 ? sums.weight[k][i] : sums.bias[k][i];
                    v[i] = turn > 0 ? v[i] + own : own;
                }
                store_vec((turn == group.groups - 1 ? out : shared) + r * columns + column, v);
            }
        }
    }
}

// Rows of aligned 16-byte chunks, CHUNKS of them per thread. Rows come by cp.async through two stages, the next row on
// its way during the whole of this one; they are read from shared memory again after the reduction instead of being
// held, which leaves the registers to the column sums.
template <class T, bool CENTRED, int CHUNKS>
DEVICE void norm_grad(const NormGradOperands<T>& o, NormGradShape shape, int width, int chunks) {
    constexpr int V = VEC<T>;
    DYN_SMEM(memory, 16);
    const int columns = shape.columns;
    RowGroup group(width);
    const bool accumulate = o.dx && shape.accumulate;
    const RowRing<T, CHUNKS> ring = {memory, accumulate ? 3 : 2, chunks, columns / V};
    float nextMean = 0, nextRstd = 0;
    auto fetch = [&](int stage, int64_t row) {
        if (row < shape.rows) {
            ring.fetch(stage, 0, o.x + row * columns, group);
            ring.fetch(stage, 1, o.dy + row * columns, group);
            if (accumulate) ring.fetch(stage, 2, o.dx + row * columns, group);
            if (CENTRED) nextMean = o.mean[row];
            nextRstd = o.rstd[row];
        }
        ptx::cp_async_commit();
    };
    Chunk<T, V> weights[CHUNKS];  // not widened: half the registers of f32
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        const int chunk = group.lane + k * group.width;
        if (chunk < ring.vectors) weights[k] = Chunk<T, V>::load(o.weight + chunk * V);
    }
    ColumnSums<CHUNKS, V> total;
    int stage = 0;
    fetch(stage, group.firstRow);
    for (int64_t row = group.firstRow; row < shape.rows; row += group.stride) {
        const float mean = nextMean, rstd = nextRstd;
        fetch(stage ^ 1, row + group.stride);
        ptx::cp_async_wait<1>();
        float g = 0, gHat = 0;
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            if (group.lane + k * group.width >= ring.vectors) continue;
            float x[V], dy[V], w[V];
            ring.read(x, stage, 0, k);
            ring.read(dy, stage, 1, k);
            weights[k].widen(w);
#pragma unroll
            for (int i = 0; i < V; i++) {
                const float hat = (x[i] - mean) * rstd, gi = dy[i] * w[i];
                g += gi;
                gHat += gi * hat;
                total.weight[k][i] += dy[i] * hat;
                total.bias[k][i] += dy[i];
            }
        }
        if (o.dx) {
            row_means<CENTRED>(g, gHat, group, columns);
#pragma unroll
            for (int k = 0; k < CHUNKS; k++) {
                const int chunk = group.lane + k * group.width;
                if (chunk >= ring.vectors) continue;
                float x[V], dy[V], w[V], dx[V];
                ring.read(x, stage, 0, k);
                ring.read(dy, stage, 1, k);
                if (accumulate) ring.read(dx, stage, 2, k);
                weights[k].widen(w);
#pragma unroll
                for (int i = 0; i < V; i++) {
                    const float hat = (x[i] - mean) * rstd;
                    const float value = rstd * (dy[i] * w[i] - g - hat * gHat);
                    dx[i] = accumulate ? dx[i] + value : value;
                }
                store_vec(o.dx + row * columns + chunk * V, dx);
            }
        }
        stage ^= 1;
    }
    ptx::cp_async_wait<0>();
    if (o.partials) write_partials<CENTRED>(o.partials, total, memory, group, columns);
}

// Any width and, with V = 1, any alignment: a block per row, which it reads again from L1 for dx. Column sums stay in
// the block's partial row in global memory: each thread adds to its own columns.
template <class T, bool CENTRED, int V>
DEVICE void norm_grad_reread(const NormGradOperands<T>& o, NormGradShape shape) {
    constexpr int ROWS = CENTRED ? 2 : 1;
    RowGroup group((int)blockDim.x);
    const int columns = shape.columns, first = group.lane * V, step = group.width * V;
    float* const partial = o.partials + (o.partials ? (int64_t)blockIdx.x * ROWS * columns : 0);
    for (int64_t row = group.firstRow; row < shape.rows; row += group.stride) {
        const T *const x = o.x + row * columns, *const dy = o.dy + row * columns;
        const float mean = CENTRED ? o.mean[row] : 0.f, rstd = o.rstd[row];
        float g = 0, gHat = 0;
        for (int c = first; c < columns; c += step) {
            float xs[V], dys[V], w[V];
            load_chunk(xs, x + c);
            load_chunk(dys, dy + c);
            load_chunk(w, o.weight + c);
#pragma unroll
            for (int i = 0; i < V; i++) {
                const float hat = (xs[i] - mean) * rstd, gi = dys[i] * w[i];
                g += gi;
                gHat += gi * hat;
                if (!o.partials) continue;
                const bool begin = row == group.firstRow;
                partial[c + i] = begin ? dys[i] * hat : partial[c + i] + dys[i] * hat;
                if (CENTRED) partial[columns + c + i] = begin ? dys[i] : partial[columns + c + i] + dys[i];
            }
        }
        if (!o.dx) continue;
        row_means<CENTRED>(g, gHat, group, columns);
        for (int c = first; c < columns; c += step) {
            float xs[V], dys[V], w[V], dx[V];
            load_chunk(xs, x + c);
            load_chunk(dys, dy + c);
            load_chunk(w, o.weight + c);
            if (shape.accumulate) load_chunk(dx, o.dx + row * columns + c);
#pragma unroll
            for (int i = 0; i < V; i++) {
                const float hat = (xs[i] - mean) * rstd;
                const float value = rstd * (dys[i] * w[i] - g - hat * gHat);
                dx[i] = shape.accumulate ? dx[i] + value : value;
            }
            store_chunk(o.dx + row * columns + c, dx);
        }
    }
}

template <class T, bool CENTRED>
DEVICE void norm_grad_reread(const NormGradOperands<T>& o, NormGradShape shape) {
    if (aligned16(o.dx, o.dy, o.x, o.weight) && shape.columns % VEC<T> == 0) {
        norm_grad_reread<T, CENTRED, VEC<T>>(o, shape);
    } else {
        norm_grad_reread<T, CENTRED, 1>(o, shape);
    }
}

#define NORM_GRAD_PARAMETERS                                                                                          \
    (T * dx, float* partials, const T* dy, const T* x, const float* mean, const float* rstd, const T* weight,         \
     int64_t rows, int columns, int accumulate, int width, int chunks)
#define NORM_GRAD_ARGUMENTS {dx, partials, dy, x, mean, rstd, weight}, {rows, columns, accumulate != 0}

// layer_norm_grad: dx and the blocks' partial rows of dWeight and dBias
// Bytes: 3 n c s (4 n c s accumulating) + 8 n + 16 b c      (b blocks; their partial rows are written and read in L2)
// Operations: ~18 n c
// Roofline: memory; 3 operations per byte in bf16 where an H200 balances at ~14 outside the tensor cores
// Tile: 512 threads, one thread to 32 bytes of a row of x and of dy (wide: 48, since 64 spill); its column sums stay in
// registers from row to row, rows come by cp.async one turn ahead, groups of a block meet only at its end
KERNEL_FLOATS(layer_norm_grad, BOUNDS(512, 1), NORM_GRAD_PARAMETERS,
              (norm_grad<T, true, 2>(NORM_GRAD_ARGUMENTS, width, chunks)))
KERNEL_FLOATS(layer_norm_grad_wide, BOUNDS(512, 1), NORM_GRAD_PARAMETERS,
              (norm_grad<T, true, 3>(NORM_GRAD_ARGUMENTS, width, chunks)))
KERNEL_FLOATS(layer_norm_grad_reread, BOUNDS(512, 2), NORM_GRAD_PARAMETERS,
              (norm_grad_reread<T, true>(NORM_GRAD_ARGUMENTS)))

// rms_norm_grad: dx and the blocks' partial rows of dWeight
// Bytes: 3 n c s (4 n c s accumulating) + 4 n + 8 b c
// Operations: ~15 n c
// Roofline: memory; see layer_norm_grad
// Tile: as layer_norm_grad, wide: 64 bytes
KERNEL_FLOATS(rms_norm_grad, BOUNDS(512, 1), NORM_GRAD_PARAMETERS,
              (norm_grad<T, false, 2>(NORM_GRAD_ARGUMENTS, width, chunks)))
KERNEL_FLOATS(rms_norm_grad_wide, BOUNDS(512, 1), NORM_GRAD_PARAMETERS,
              (norm_grad<T, false, 4>(NORM_GRAD_ARGUMENTS, width, chunks)))
KERNEL_FLOATS(rms_norm_grad_reread, BOUNDS(512, 2), NORM_GRAD_PARAMETERS,
              (norm_grad_reread<T, false>(NORM_GRAD_ARGUMENTS)))

template <class T>
DEVICE void norm_weight_grad(T* out, const float* partials, int count, int64_t pitch, int columns, bool accumulate) {
    __shared__ float parts[8][32];
    const int lane = threadIdx.x % 32, part = threadIdx.x / 32, c = blockIdx.x * 32 + lane;
    float sum = 0;
    if (c < columns) {
        for (int p = part; p < count; p += 8) sum += partials[p * pitch + c];
    }
    parts[part][lane] = sum;
    __syncthreads();
    if (part != 0 || c >= columns) return;
    sum = accumulate ? to_float(out[c]) : 0.f;
    float added = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) added += parts[i][lane];
    out[c] = from_float<T>(sum + added);
}

// norm_weight_grad: dWeight (blockIdx.y 0) and dBias (1) = beta old + the sum of the partial rows
// Bytes: 4 b c per output, from L2      (b partial rows)
// Operations: b c per output
// Roofline: L2; 1 operation per 4 bytes
// Tile: 256 threads to 32 columns, 8 partial rows at a time, then those 8 sums in order
KERNEL_FLOATS(norm_weight_grad, 256,
              (T * dWeight, T* dBias, const float* partials, int count, int64_t pitch, int columns, int accumulate),
              (norm_weight_grad(blockIdx.y == 0 ? dWeight : dBias, partials + blockIdx.y * (int64_t)columns, count,
                                pitch, columns, accumulate != 0)))
