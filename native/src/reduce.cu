// Sums: of columns (bias gradients), of a whole tensor, of squares. Always in a fixed order: partial sums go to a
// workspace, a second kernel adds those.
#include "fold.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;

// ---- whole tensors

DEVICE bool is_finite(double x) {
    return x - x == 0.0;  // NaN for infinities
}

// The sum of x over the block, in thread 0.
DEVICE double block_total(double x) {
    __shared__ double parts[WARPS];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) x += __shfl_down_sync(0xffffffffu, x, distance);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0) {
#pragma unroll
        for (int warp = 1; warp < WARPS; warp++) x += parts[warp];
    }
    return x;
}

// The sum of f(x) over this thread's elements, in A. Four chains of additions: one alone would wait for itself.
template <class A, int UNROLL, class T, class F>
DEVICE A thread_sum(const T* x, int64_t n, F f) {
    A sums[4] = {};
    fold<UNROLL>(x, n, [&](float v, int j) { sums[j % 4] += f((A)v); });
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T>
DEVICE void sum(double* partials, const T* x, int64_t n) {
    const double total = block_total(thread_sum<float, 4>(x, n, [](float v) { return v; }));
    if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

// sum: one partial sum of all elements per block
// Bytes: n s
// Operations: n
// Roofline: memory
// Tile: 256 threads, four 16-byte loads per thread and turn; f32 in a thread, f64 from there on
KERNEL_FLOATS(sum, THREADS, (double* partials, const T* x, int64_t n), sum(partials, x, n))

template <class T>
DEVICE void squares(double* partials, const T* x, int64_t n) {
    auto f = [](auto v) { return v * v; };
    double total = thread_sum<float, 4>(x, n, f);
    if (!is_finite(total)) {
        // Either an element is not finite, or squares beyond f32 were added: in f64 only the former is not finite.
        total = thread_sum<double, 1>(x, n, f);
    }
    total = block_total(total);
    if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

// squares: one partial sum of the squares of all elements per block
// Bytes: n s
// Operations: 2 n
// Roofline: memory
// Tile: as sum
KERNEL_FLOATS(squares, THREADS, (double* partials, const T* x, int64_t n), squares(partials, x, n))

DEVICE double total_of(const double* partials, int32_t count) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += THREADS) sum += partials[i];
    return block_total(sum);
}

DEVICE void total(float* out, const double* partials, int32_t count) {
    const double sum = total_of(partials, count);
    if (threadIdx.x == 0) *out = (float)sum;
}

// sum_partials: out[0] = sum of the partial sums
// Bytes: 8 count
// Operations: count
// Roofline: latency; one block, some thousand partial sums at most
// Tile: 256 threads
KERNEL(sum_partials, THREADS, (float* out, const double* partials, int32_t count), total(out, partials, count))

DEVICE void root(float* out, const double* partials, int32_t count) {
    const double sum = total_of(partials, count);
    if (threadIdx.x == 0) {
        out[0] = (float)sqrt(sum);
        out[1] = is_finite(sum) ? 1.f : 0.f;
    }
}

// norm_partials: out = {square root of the sum of the partial sums, 1 if that is finite else 0}
// Bytes: 8 count
// Operations: count
// Roofline: latency
// Tile: as sum_partials
KERNEL(norm_partials, THREADS, (float* out, const double* partials, int32_t count), root(out, partials, count))

DEVICE void add_flag(int32_t* counter, const float* flag, int32_t index) {
    if (threadIdx.x == 0) *counter += (int32_t)flag[index];
}

// count_step: counter[0] += flag[index]
// Bytes: 12
// Operations: 1
// Roofline: latency
// Tile: one warp
KERNEL(count_step, 32, (int32_t* counter, const float* flag, int32_t index), add_flag(counter, flag, index))

// ---- columns

// A block owns `lanes` (a power of two, 32 at most) neighbouring chunks of N columns, and THREADS / lanes lines of rows
// at a time. blockIdx.x is the group of columns, blockIdx.y the share of the rows. Each thread adds its rows in order,
// the block its lines in order; with several shares the same kernel then adds their sums, which lie in `partials`.
template <int N, class O, class T>
DEVICE void sum_columns(O* out, float* partials, const T* x, float beta, int64_t rows, int32_t columns,
                        int32_t lanes) {
    alignas(16) __shared__ float sums[THREADS * N];  // [lines, lanes * N]
    const int lane = threadIdx.x % lanes, line = threadIdx.x / lanes, lines = THREADS / lanes;
    const int32_t column = (blockIdx.x * lanes + lane) * N;
    const int64_t step = (int64_t)lines * gridDim.y;
    float sum[N] = {};
    if (column < columns) {
        constexpr int UNROLL = 4;
        for (int64_t row = (int64_t)blockIdx.y * lines + line; row < rows; row += UNROLL * step) {
            Chunk<T, N> in[UNROLL];
#pragma unroll
            for (int u = 0; u < UNROLL; u++) {
                if (row + u * step < rows) in[u] = Chunk<T, N>::load(x + (row + u * step) * columns + column);
            }
#pragma unroll
            for (int u = 0; u < UNROLL; u++) {
                if (row + u * step >= rows) break;
                float v[N];
                in[u].widen(v);
#pragma unroll
                for (int j = 0; j < N; j++) sum[j] += v[j];
            }
        }
    }
    if constexpr (N > 1) {
        store_vec<N>(sums + threadIdx.x * N, sum);
    } else {
        sums[threadIdx.x] = sum[0];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < lanes * N; i += THREADS) {
        const int32_t c = blockIdx.x * lanes * N + i;
        if (c >= columns) break;
        float total = 0.f;
        for (int l = 0; l < lines; l++) total += sums[l * lanes * N + i];
        if (gridDim.y > 1) {
            partials[(int64_t)blockIdx.y * columns + c] = total;
        } else {
            out[c] = from_float<O>(beta == 0.f ? total : total + to_float(out[c]));
        }
    }
}

// The launcher chooses `width`, since the grid depends on it: VEC<T> when x is aligned and columns a multiple, else 1.
template <class O, class T>
DEVICE void sum_rows(O* out, float* partials, const T* x, float beta, int64_t rows, int32_t columns, int32_t lanes,
                     int32_t width) {
    if (width == 1) {
        sum_columns<1>(out, partials, x, beta, rows, columns, lanes);
    } else {
        sum_columns<VEC<T>>(out, partials, x, beta, rows, columns, lanes);
    }
}

#define SUM_ROWS(x_suffix, T, out_suffix, O)                                                                         \
    KERNEL(sum_rows_##x_suffix##_##out_suffix, THREADS,                                                              \
           (O * out, float* partials, const T* x, float beta, int64_t rows, int32_t columns, int32_t lanes,          \
            int32_t width),                                                                                          \
           sum_rows(out, partials, x, beta, rows, columns, lanes, width))

// sum_rows: out[c] = sum over rows of x[n, c] + beta out, or one such sum per share of the rows
// Bytes: n c s + (1 + beta) c s         (with shares 8 shares c more, a few percent)
// Operations: n c
// Roofline: memory
// Tile: 256 threads: a warp reads 512 neighbouring bytes of a row, a thread four rows before it adds; shares of the
//       rows fill the device where there are few columns (768 of bf16 are 3 blocks)
SUM_ROWS(f32, float, f32, float)
SUM_ROWS(bf16, bf16, bf16, bf16)
SUM_ROWS(bf16, bf16, f32, float)
SUM_ROWS(f16, f16, f16, f16)
SUM_ROWS(f16, f16, f32, float)
SUM_ROWS(f32, float, bf16, bf16)  // adds the shares of bf16 rows
SUM_ROWS(f32, float, f16, f16)
