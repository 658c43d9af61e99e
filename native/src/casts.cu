// Activations and norms whose result becomes low-precision copies on the way: for a matrix product in 8 bits whose
// scale is known, the result itself is never written. To the bit what the kernels of pointwise.cu and norm.cu, then
// abs_max and quantize make, since every element is rounded to T first.
#include "activation.cuh"
#include "norm.cuh"
#include "tile.cuh"

constexpr int32_t WHOLE = 0x7fffffff;

// What is made of a matrix; what is null is not wanted. Scales are given, one for all of a copy.
template <class T>
struct Casts {
    T* out;
    Copy straight, transposed;
    uint32_t* amax;
    int32_t rows, columns;

    DEVICE Casts(T* out, uint8_t* straight, float* straight_scale, uint8_t* transposed, float* transposed_scale,
                 int type, uint32_t* amax, int32_t rows, int32_t columns)
        : out(out),
          straight(straight, straight_scale, WHOLE, WHOLE, true, rows, columns, type),
          transposed(transposed, transposed_scale, WHOLE, WHOLE, true, columns, rows, type),
          amax(amax),
          rows(rows),
          columns(columns) {}
};

// The tile from (row0, column0) on, of elements that `source.load` computes, 8 at a time. Gives the largest magnitude
// that this thread has met. The block passes a barrier between two tiles.
template <int ROWS, class T, class Source>
DEVICE uint32_t cast_tile(const Casts<T>& c, T* tile, const Source& source, int32_t row0, int32_t column0) {
    const int line = threadIdx.x / 16;
    const int32_t column = column0 + threadIdx.x % 16 * 8;
    const bool vector = c.columns % 8 == 0 && aligned16(c.out);
    float v[TURNS<ROWS>][8];
    uint32_t most = 0;
#pragma unroll
    for (int t = 0; t < TURNS<ROWS>; t++) {
        const int32_t row = row0 + line + t * LINES;
        const int count = row < c.rows ? c.columns - column : 0;
        source.load(v[t], row, column, count);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            v[t][j] = j < count ? to_float(from_float<T>(v[t][j])) : 0.f;
            most = max(most, magnitude(v[t][j]));
        }
        if (c.out && count > 0) store_row(c.out + (int64_t)row * c.columns + column, v[t], vector, count);
    }
    if (c.transposed.values) park<ROWS>(tile, v);
    if (c.straight.values) {
#pragma unroll
        for (int t = 0; t < TURNS<ROWS>; t++) c.straight.put(v[t], row0 + line + t * LINES, column, 0);
    }
    if (c.transposed.values) {
        __syncthreads();
        each_column<ROWS>(tile, [&](float (&w)[8], int below, int row) {
            c.transposed.put(w, column0 + below, row0 + row, 0);
        });
    }
    return most;
}

// ---- activations: a block has a tile

constexpr int ROWS = 64;

template <class T, class Source>
DEVICE void cast_elements(const Casts<T>& c, const Source& source) {
    DYN_SMEM(memory, 16);
    const int32_t across = (c.columns + TILE - 1) / TILE;
    const int32_t row0 = (int32_t)(blockIdx.x / across) * ROWS, column0 = (int32_t)(blockIdx.x % across) * TILE;
    const uint32_t most = cast_tile<ROWS>(c, reinterpret_cast<T*>(memory), source, row0, column0);
    if (c.amax) raise(c.amax, most);
}

template <class T>
struct Gelu {
    const T* x;
    int32_t columns;

    DEVICE void load(float (&v)[8], int32_t row, int32_t column, int count) const {
        const bool vector = columns % 8 == 0 && aligned16(x);
        load_row(v, x + (count > 0 ? (int64_t)row * columns + column : 0), vector && count > 0, count);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = gelu<T>(v[j]);
    }
};

// gelu_cast: gelu's result as it is, and cast, as far as each is wanted
// Bytes: n (s + 1 for each copy + s for the result)
// Operations: ~25 n
// Roofline: memory; both copies of bf16 move 4 bytes per element, where gelu, abs_max and quantize move 10
// Tile: 64 x 128, 256 threads with 4 rows of 8 elements each; the transposed copy is read from shared memory column by
//       column, eight to a store and 64 neighbouring bytes to a column
KERNEL_FLOATS(gelu_cast, BOUNDS(THREADS, 3),
              (T * out, uint8_t* straight, float* straight_scale, uint8_t* transposed, float* transposed_scale,
               int32_t type, uint32_t* amax, int32_t rows, int32_t columns, const T* x),
              cast_elements(Casts<T>(out, straight, straight_scale, transposed, transposed_scale, type, amax, rows,
                                     columns),
                            Gelu<T>{x, columns}))

template <class T>
struct GeluGrad {
    const T* dx;
    const T* dy;
    const T* x;
    float beta;
    int32_t columns;

    DEVICE void load(float (&v)[8], int32_t row, int32_t column, int count) const {
        const bool vector = columns % 8 == 0 && aligned16(dx, dy, x) && count > 0;
        const int64_t at = count > 0 ? (int64_t)row * columns + column : 0;
        float g[8], before[8];
        load_row(g, dy + at, vector, count);
        load_row(v, x + at, vector, count);
        if (beta != 0.f) {
            load_row(before, dx + at, vector, count);
        } else {
#pragma unroll
            for (int j = 0; j < 8; j++) before[j] = -0.f;  // as load_before
        }
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = fmaf(g[j], gelu_slope<T>(v[j]), before[j]);
    }
};

// gelu_grad_cast: gelu_grad's result, and cast, as far as that is wanted
// Bytes: n ((3 + beta) s + 1 for each copy)
// Operations: ~31 n
// Roofline: memory; with both copies of bf16 8 bytes per element, where gelu_grad, abs_max and quantize move 12
// Tile: as gelu_cast
KERNEL_FLOATS(gelu_grad_cast, BOUNDS(THREADS, 3),
              (T * dx, uint8_t* straight, float* straight_scale, uint8_t* transposed, float* transposed_scale,
               int32_t type, uint32_t* amax, int32_t rows, int32_t columns, const T* dy, const T* x, float beta),
              cast_elements(Casts<T>(dx, straight, straight_scale, transposed, transposed_scale, type, amax, rows,
                                     columns),
                            GeluGrad<T>{dx, dy, x, beta, columns}))

template <class T>
struct SwiGlu {
    const T* x;
    int32_t f;

    DEVICE void load(float (&v)[8], int32_t row, int32_t column, int count) const {
        const bool vector = f % 8 == 0 && aligned16(x) && count > 0;
        const T* gate = x + (count > 0 ? (int64_t)row * 2 * f + column : 0);
        float g[8];
        load_row(g, gate, vector, count);
        load_row(v, gate + f, vector, count);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = swiglu<T>(g[j], v[j]);
    }
};

// swiglu_cast: swiglu's result as it is, and cast, as far as each is wanted
// Bytes: n f (2 s + 1 for each copy + s for the result)
// Operations: ~25 n f
// Roofline: memory; both copies of bf16 move 6 bytes per element, where swiglu, abs_max and quantize move 12
// Tile: as gelu_cast
KERNEL_FLOATS(swiglu_cast, BOUNDS(THREADS, 3),
              (T * out, uint8_t* straight, float* straight_scale, uint8_t* transposed, float* transposed_scale,
               int32_t type, uint32_t* amax, int32_t rows, int32_t columns, const T* x),
              cast_elements(Casts<T>(out, straight, straight_scale, transposed, transposed_scale, type, amax, rows,
                                     columns),
                            SwiGlu<T>{x, columns}))

// ---- norms: a block has whole rows, first their statistics, then tile by tile what becomes of them

constexpr int NORM_ROWS = 32;

template <class T, bool CENTRED>
struct Normed {
    const NormOperands<T>& o;
    int32_t columns;

    DEVICE void load(float (&v)[8], int32_t row, int32_t column, int count) const {
        if (count <= 0) {  // rows behind the last one have no statistics
#pragma unroll
            for (int j = 0; j < 8; j++) v[j] = 0.f;
            return;
        }
        const T* x = o.residual ? o.total : o.x;
        const bool vector = columns % 8 == 0 && aligned16(x, o.weight, o.bias);
        float w[8], b[8] = {};
        load_row(v, x + (int64_t)row * columns + column, vector, count);
        load_row(w, o.weight + column, vector, count);
        if (CENTRED) load_row(b, o.bias + column, vector, count);
        const float mean = CENTRED ? o.mean[row] : 0.f, rstd = o.rstd[row];
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = normed<CENTRED>(v[j] - mean, rstd, w[j], b[j]);
    }
};

template <class T, bool CENTRED>
DEVICE void norm_cast(const Casts<T>& c, const NormOperands<T>& o, float epsilon, int width, int chunks) {
    DYN_SMEM(memory, 16);
    const int32_t row0 = (int32_t)blockIdx.x * NORM_ROWS;
    RowGroup group(width);
    group.firstRow = row0 + group.index;
    group.stride = group.groups;
    // Threads that are no whole group wait.
    if (group.index < group.groups) {
        norm<T, CENTRED>(o, {min(c.rows, row0 + NORM_ROWS), c.columns, epsilon}, group, chunks);
    }
    uint32_t most = 0;
    for (int32_t column0 = 0; column0 < c.columns; column0 += TILE) {
        __syncthreads();
        most = max(most, cast_tile<NORM_ROWS>(c, reinterpret_cast<T*>(memory), Normed<T, CENTRED>{o, c.columns}, row0,
                                              column0));
    }
    if (c.amax) raise(c.amax, most);
}

// layer_norm_cast: layer_norm's result as it is, and cast, as far as each is wanted
// Bytes: n c (s + 1 for each copy + s for the result) + 8 n; with residual 2 n c s more
// Operations: ~30 n c
// Roofline: memory; both copies of bf16 move 4 bytes per element, where layer_norm, abs_max and quantize move 10. The
//       rows are read twice, the second time from L2 as far as it has room: those of 3 blocks on each of 132
//       multiprocessors are 25 MB of 1024 columns, 100 MB of 4096
// Tile: 32 rows, 256 threads; their statistics as in layer_norm, then tiles of 128 columns, 2 rows of 8 elements to a
//       thread. More rows would be wider stores of the transposed copy, of which 32 bytes are a whole sector, and
//       fewer blocks than multiprocessors below 8192 rows
KERNEL_FLOATS(layer_norm_cast, BOUNDS(THREADS, 3),
              (T * out, uint8_t* straight, float* straight_scale, uint8_t* transposed, float* transposed_scale,
               int32_t type, uint32_t* amax, int32_t rows, int32_t columns, T* total, float* mean, float* rstd,
               const T* x, const T* residual, const T* weight, const T* bias, float epsilon, int32_t width,
               int32_t chunks),
              (norm_cast<T, true>(Casts<T>(out, straight, straight_scale, transposed, transposed_scale, type, amax,
                                           rows, columns),
                                  {nullptr, total, mean, rstd, x, residual, weight, bias}, epsilon, width, chunks)))

// rms_norm_cast: rms_norm's result as it is, and cast, as far as each is wanted
// Bytes: n c (s + 1 for each copy + s for the result) + 4 n; with residual 2 n c s more
// Operations: ~27 n c
// Roofline: memory; see layer_norm_cast
// Tile: as layer_norm_cast
KERNEL_FLOATS(rms_norm_cast, BOUNDS(THREADS, 3),
              (T * out, uint8_t* straight, float* straight_scale, uint8_t* transposed, float* transposed_scale,
               int32_t type, uint32_t* amax, int32_t rows, int32_t columns, T* total, float* rstd, const T* x,
               const T* residual, const T* weight, float epsilon, int32_t width, int32_t chunks),
              (norm_cast<T, false>(Casts<T>(out, straight, straight_scale, transposed, transposed_scale, type, amax,
                                            rows, columns),
                                   {nullptr, total, nullptr, rstd, x, residual, weight, nullptr}, epsilon, width,
                                   chunks)))
