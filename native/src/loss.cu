// Cross entropy of rows of logits, with its gradient in place.
#include "chunk.cuh"
#include "reduce.cuh"

constexpr float LOG2_E = 1.44269504088896f;
constexpr float LOWEST_F32 = -3.402823466e38f;

// exp(x - max): rounding the difference first keeps exp(0) = 1 for logits of any size.
DEVICE float exp_difference(float x, float max) {
    return ptx::ex2((x - max) * LOG2_E);
}

// The largest value so far and the sum of exp(value - max). Starts at the lowest finite number, so that a masked logit
// of -inf adds exp(-inf) = 0 and not exp(-inf + inf). NaN and +inf make the sum NaN.
struct Softmax {
    float max = LOWEST_F32, sum = 0;

    template <int N>
    DEVICE void add(const float (&v)[N]) {
        float larger = max;
#pragma unroll
        for (int i = 0; i < N; i++) larger = fmaxf(larger, v[i]);
        if (larger > max) {
            sum *= exp_difference(max, larger);
            max = larger;
        }
#pragma unroll
        for (int i = 0; i < N; i++) sum += exp_difference(v[i], max);
    }

    DEVICE void reduce_over_block() {
        const float largest = block_max(max);
        sum = block_sum(sum * exp_difference(max, largest));
        max = largest;
    }
};

// A row that starts anywhere: `head` elements up to the first 16-byte boundary, `chunks` aligned chunks, the rest.
template <class T>
struct Row {
    T* start;
    int columns, head, chunks, tail;

    DEVICE Row(T* start, int columns) : start(start), columns(columns) {
        const int past = (int)((uint64_t)start & 15) / (int)sizeof(T);
        head = min(columns, (VEC<T> - past) % VEC<T>);
        chunks = (columns - head) / VEC<T>;
        tail = head + chunks * VEC<T>;
    }

    // Element of the head or of the tail that belongs to this thread, or -1: together under two chunks, the head for
    // the block's first threads and the tail for its last.
    DEVICE int head_element() const {
        return (int)threadIdx.x < head ? (int)threadIdx.x : -1;
    }
    DEVICE int tail_element() const {
        const int i = tail + (int)(blockDim.x - 1 - threadIdx.x);
        return i < columns ? i : -1;
    }
};

constexpr int AHEAD = 4;  // chunks in flight per thread

template <class T>
DEVICE Softmax row_softmax(const Row<T>& row) {
    Softmax s;
    float one[1], v[VEC<T>];
    if (row.head_element() >= 0) {
        one[0] = to_float(row.start[row.head_element()]);
        s.add(one);
    }
    const T* const body = row.start + row.head;
    const int step = (int)blockDim.x;
    int chunk = (int)threadIdx.x;
    for (; chunk + (AHEAD - 1) * step < row.chunks; chunk += AHEAD * step) {
        Chunk<T, VEC<T>> ahead[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            ahead[k] = Chunk<T, VEC<T>>::load(body + (int64_t)(chunk + k * step) * VEC<T>);
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            ahead[k].widen(v);
            s.add(v);
        }
    }
    for (; chunk < row.chunks; chunk += step) {
        load_vec(v, body + (int64_t)chunk * VEC<T>);
        s.add(v);
    }
    if (row.tail_element() >= 0) {
        one[0] = to_float(row.start[row.tail_element()]);
        s.add(one);
    }
    s.reduce_over_block();
    return s;
}

// What turns a logit into its gradient: factor exp(x - max), less `scale` at the label.
struct LogitGradient {
    float max, factor, scale;
    int label;

    template <int N>
    DEVICE void apply(float (&v)[N], int first) const {
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = factor * exp_difference(v[i], max);
            if (first + i == label) v[i] -= scale;
        }
    }
};

// From the end of the row to its start: what was read last is the likeliest to be in L1 still.
template <class T>
DEVICE void write_gradient(const Row<T>& row, const LogitGradient& gradient) {
    float one[1], v[VEC<T>];
    if (row.tail_element() >= 0) {
        T* const p = row.start + row.tail_element();
        one[0] = to_float(*p);
        gradient.apply(one, row.tail_element());
        *p = from_float<T>(one[0]);
    }
    T* const body = row.start + row.head;
    const int step = (int)blockDim.x;
    int chunk = row.chunks - 1 - (int)threadIdx.x;
    for (; chunk - (AHEAD - 1) * step >= 0; chunk -= AHEAD * step) {
        Chunk<T, VEC<T>> ahead[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            ahead[k] = Chunk<T, VEC<T>>::load(body + (int64_t)(chunk - k * step) * VEC<T>);
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            const int at = (chunk - k * step) * VEC<T>;
            ahead[k].widen(v);
            gradient.apply(v, row.head + at);
            store_vec(body + at, v);
        }
    }
    for (; chunk >= 0; chunk -= step) {
        load_vec(v, body + chunk * VEC<T>);
        gradient.apply(v, row.head + chunk * VEC<T>);
        store_vec(body + chunk * VEC<T>, v);
    }
    if (row.head_element() >= 0) {
        T* const p = row.start + row.head_element();
        one[0] = to_float(*p);
        gradient.apply(one, row.head_element());
        *p = from_float<T>(one[0]);
    }
}

template <class T>
DEVICE void zero_row(const Row<T>& row) {
    const T zero = from_float<T>(0.f);
    if (row.head_element() >= 0) row.start[row.head_element()] = zero;
    for (int chunk = (int)threadIdx.x; chunk < row.chunks; chunk += (int)blockDim.x) {
        ptx::st128(row.start + row.head + (int64_t)chunk * VEC<T>, make_uint4(0, 0, 0, 0));
    }
    if (row.tail_element() >= 0) row.start[row.tail_element()] = zero;
}

// A row whose label is negative.
template <class T>
DEVICE void ignore_row(float* loss, const Row<T>& row, const float* scale) {
    if (threadIdx.x == 0) *loss = 0;
    if (scale) zero_row(row);
}

// The loss of a row, and with `scale` the gradient of its columns; `label` may be none of them.
template <class T>
DEVICE void finish_row(float* loss, const Row<T>& row, const Softmax& s, float wanted, const float* scale, int label) {
    if (threadIdx.x == 0) *loss = logf(s.sum) + (s.max - wanted);
    if (scale) write_gradient(row, LogitGradient{s.max, *scale / s.sum, *scale, label});
}

// ---- whole rows

template <class T>
DEVICE void cross_entropy(float* losses, T* logits, const int32_t* labels, const float* scale, int columns) {
    const int64_t n = blockIdx.x;
    const Row<T> row(logits + n * columns, columns);
    const int label = labels[n];
    if (label < 0) {
        ignore_row(losses + n, row, scale);
        return;
    }
    const float wanted = to_float(row.start[label]);  // before the reduction's barriers, behind which it is overwritten
    finish_row(losses + n, row, row_softmax(row), wanted, scale, label);
}

// cross_entropy: losses = log(sum of exp(x)) - x[label] per row; logits = scale (softmax - 1 at the label) in place
// Bytes: n c s; with the gradient 2 n c s, the second reading of a row (100 KB for 50257 bf16) coming from L1 and L2
// Operations: ~5 n c, one an exponential; with the gradient ~10 n c, two exponentials
// Roofline: memory; at 16 exponentials per clock and multiprocessor the exponentials take about 60 % of the time
// Tile: a block of 512 threads per row, 4 chunks of 16 bytes in flight per thread; rows of any start and length, with a
// scalar head and tail; the grid is the rows, so that the device balances rows that are ignored
KERNEL_FLOATS(cross_entropy, 512, (float* losses, T* logits, const int32_t* labels, const float* scale, int columns),
              (cross_entropy(losses, logits, labels, scale, columns)))

// ---- rows whose columns ranks divide
//
// Statistics of a row, [3, n]: the largest logit, the sum of exp(logit - largest), and the logit of the label or -inf
// where the label is another rank's. The largest and the sum apart, not their log-sum-exp: that would lose the digits of
// a small loss at large logits.

template <class T>
DEVICE void cross_entropy_stats(float* stats, T* logits, const int32_t* labels, int first_label, int columns) {
    const int64_t n = blockIdx.x, rows = gridDim.x;
    const int label = labels[n];
    Softmax s;
    float wanted = -INF_F32;
    if (label >= 0) {  // an ignored row is not read
        const Row<T> row(logits + n * columns, columns);
        const int column = label - first_label;
        if (column >= 0 && column < columns) wanted = to_float(row.start[column]);
        s = row_softmax(row);
    }
    if (threadIdx.x == 0) {
        stats[n] = s.max;
        stats[rows + n] = s.sum;
        stats[2 * rows + n] = wanted;
    }
}

// cross_entropy_stats: of each row the largest x, the sum of exp(x - largest), and x[label - first_label]
// Bytes: n c s + 16 n
// Operations: ~5 n c, one an exponential
// Roofline: memory, as cross_entropy without the gradient
// Tile: that of cross_entropy
KERNEL_FLOATS(cross_entropy_stats, 512,
              (float* stats, T* logits, const int32_t* labels, int first_label, int columns),
              (cross_entropy_stats(stats, logits, labels, first_label, columns)))

// A row of all ranks, in the order of ranks: the same bits on each of them.
struct WholeRow {
    Softmax softmax;
    float wanted = -INF_F32;

    DEVICE WholeRow(const float* stats, int ranks, int64_t rows, int64_t n) {
        for (int r = 0; r < ranks; r++) {
            const float* const of = stats + 3 * r * rows + n;
            softmax.max = fmaxf(softmax.max, of[0]);
            wanted = fmaxf(wanted, of[2 * rows]);
        }
        for (int r = 0; r < ranks; r++) {
            const float* const of = stats + 3 * r * rows + n;
            softmax.sum += of[rows] * exp_difference(of[0], softmax.max);
        }
    }
};

template <class T>
DEVICE void cross_entropy_shard(float* losses, T* logits, const int32_t* labels, int first_label, const float* stats,
                                int ranks, const float* scale, int columns) {
    const int64_t n = blockIdx.x;
    const Row<T> row(logits + n * columns, columns);
    const int label = labels[n];
    if (label < 0) {
        ignore_row(losses + n, row, scale);
        return;
    }
    const WholeRow whole(stats, ranks, gridDim.x, n);
    finish_row(losses + n, row, whole.softmax, whole.wanted, scale, label - first_label);
}

// cross_entropy_shard: losses of rows from the statistics of all r ranks; logits = scale (softmax - 1 at the label) in
// place
// Bytes: 12 r n + 8 n; with the gradient 2 n c s more
// Operations: ~5 r n; with the gradient ~5 n c more, one an exponential
// Roofline: memory; half an exponential per byte or less
// Tile: with the gradient that of cross_entropy, every thread adding up the ranks while its first logits are on their
// way; without, a warp per row
KERNEL_FLOATS(cross_entropy_shard, 512,
              (float* losses, T* logits, const int32_t* labels, int first_label, const float* stats, int ranks,
               const float* scale, int columns),
              (cross_entropy_shard(losses, logits, labels, first_label, stats, ranks, scale, columns)))
