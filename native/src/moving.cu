// moving.cu: filling, converting, copying.
#include "stream.cuh"

constexpr int THREADS = 256;

// ---- filling

// One element everywhere, for `each`.
template <class T>
struct Fill {
    T* out;
    T element;

    template <int N>
    struct In {};

    template <int N>
    DEVICE In<N> load(int64_t) const {
        return {};
    }

    template <int N>
    DEVICE void store(int64_t i, const In<N>&) const {
        if constexpr (N == 1) {
            out[i] = element;
        } else {
            uint32_t word = 0;
#pragma unroll
            for (int b = 0; b < 4; b += sizeof(T)) word |= bits(element) << 8 * b;
            ptx::st128(out + i, make_uint4(word, word, word, word));
        }
    }

    DEVICE static uint32_t bits(float x) {
        return __float_as_uint(x);
    }
    DEVICE static uint32_t bits(bf16 x) {
        return x.bits;
    }
    DEVICE static uint32_t bits(f16 x) {
        return x.bits;
    }
    DEVICE static uint32_t bits(int32_t x) {
        return (uint32_t)x;
    }
    DEVICE static uint32_t bits(uint8_t x) {
        return x;
    }
};

template <class T>
DEVICE void fill(T* out, float value, int64_t n) {
    Fill<T> op{out, from_float<T>(value)};
    each<VEC<T>, 2>(n, aligned16(out), op);
}

// fill: out = value, truncated for the integer types
// Bytes: n s                       (s = bytes per element)
// Operations: none
// Roofline: memory; nothing is read, so the bound is the write rate (4.8 TB/s on an H200)
// Tile: 256 threads, two 16-byte stores per thread and turn: 512 neighbouring bytes per warp and store
KERNEL(fill_f32, THREADS, (float* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_bf16, THREADS, (bf16* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_f16, THREADS, (f16* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_i32, THREADS, (int32_t* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_u8, THREADS, (uint8_t* out, float value, int64_t n), fill(out, value, n))

// ---- conversions

template <class O, class T>
DEVICE void cast(O* out, const T* x, int64_t n) {
    auto same = [](float v, float) { return v; };
    Map<O, T, decltype(same)> op{out, x, 0.f, same};
    constexpr int N = TOGETHER<O, T>;
    each<N, 2>(n, aligned<N>(out) && aligned<N>(x), op);
}

// Not by way of f32, which has no room for 32 bits.
struct LowBytes {
    uint8_t* out;
    const int32_t* x;

    template <int N>
    struct In {
        Chunk<int32_t, N> x;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        return {Chunk<int32_t, N>::load(x + i)};
    }
    template <int N>
    DEVICE void store(int64_t i, const In<N>& in) const {
        if constexpr (N == 1) {
            out[i] = (uint8_t)in.x.element;
        } else {
            uint32_t word = 0;
#pragma unroll
            for (int j = 0; j < N; j++) word |= (in.x.words[j] & 0xff) << 8 * j;
            Chunk<uint8_t, N>{{word}}.store(out + i);
        }
    }
};

DEVICE void low_bytes(uint8_t* out, const int32_t* x, int64_t n) {
    LowBytes op{out, x};
    each<4, 2>(n, aligned<4>(out) && aligned<4>(x), op);
}

#define CAST(from, T, to, O) \
    KERNEL(cast_##from##_##to, THREADS, (O * out, const T* x, int64_t n), cast(out, x, n))

// cast: out = x in another type: floats rounded to nearest even, integers truncated; low precision saturates
// Bytes: (s_x + s_out) n
// Operations: n
// Roofline: memory
// Tile: 256 threads, two accesses per thread and turn: 16 bytes of the wider type beside 8 or 4 of the narrower
CAST(f32, float, bf16, bf16)
CAST(f32, float, f16, f16)
CAST(f32, float, i32, int32_t)
CAST(f32, float, u8, uint8_t)
CAST(bf16, bf16, f32, float)
CAST(bf16, bf16, f16, f16)
CAST(bf16, bf16, i32, int32_t)
CAST(bf16, bf16, u8, uint8_t)
CAST(f16, f16, f32, float)
CAST(f16, f16, bf16, bf16)
CAST(f16, f16, i32, int32_t)
CAST(f16, f16, u8, uint8_t)
CAST(i32, int32_t, f32, float)
CAST(i32, int32_t, bf16, bf16)
CAST(i32, int32_t, f16, f16)
CAST(u8, uint8_t, f32, float)
CAST(u8, uint8_t, bf16, bf16)
CAST(u8, uint8_t, f16, f16)
CAST(u8, uint8_t, i32, int32_t)
CAST(f32, float, f8e4m3, e4m3)
CAST(f8e4m3, e4m3, f32, float)
CAST(bf16, bf16, f8e4m3, e4m3)
CAST(f8e4m3, e4m3, bf16, bf16)
CAST(f16, f16, f8e4m3, e4m3)
CAST(f8e4m3, e4m3, f16, f16)
CAST(f32, float, f8e5m2, e5m2)
CAST(f8e5m2, e5m2, f32, float)
CAST(bf16, bf16, f8e5m2, e5m2)
CAST(f8e5m2, e5m2, bf16, bf16)
CAST(f16, f16, f8e5m2, e5m2)
CAST(f8e5m2, e5m2, f16, f16)
CAST(f32, float, i8, i8)
CAST(i8, i8, f32, float)
CAST(bf16, bf16, i8, i8)
CAST(i8, i8, bf16, bf16)
CAST(f16, f16, i8, i8)
CAST(i8, i8, f16, f16)

// cast_i32_u8: the low bytes
// Bytes: 5 n
// Operations: n
// Roofline: memory
// Tile: as cast
KERNEL(cast_i32_u8, THREADS, (uint8_t * out, const int32_t* x, int64_t n), low_bytes(out, x, n))

// ---- strided copies

// An index space of four dimensions, the last the innermost, and the strides of both sides in elements. A dimension of
// size 1 has strides 0.
struct Space {
    int32_t size1, size2, size3;
    int64_t out0, out1, out2, out3;
    int64_t x0, x1, x2, x3;
};

template <class T>
struct Copy {
    T* out;
    const T* x;
    float beta;
    Space s;

    template <int N>
    struct In {
        Chunk<T, N> x, before;
        int64_t at;
    };

    template <int N>
    DEVICE In<N> load(int64_t i) const {
        int64_t to, from;
        if (i >> 32 == 0) {  // almost always: 32-bit divisions take a quarter of the instructions
            offsets((uint32_t)i, to, from);
        } else {
            offsets((uint64_t)i, to, from);
        }
        In<N> in;
        in.at = to;
        in.x = Chunk<T, N>::load(x + from);
        if (beta != 0.f) in.before = Chunk<T, N>::load(out + to);
        return in;
    }

    template <class I>
    DEVICE void offsets(I i, int64_t& to, int64_t& from) const {
        const I j = i / (I)s.size3, i3 = i - j * (I)s.size3;
        const I k = j / (I)s.size2, i2 = j - k * (I)s.size2;
        const I i0 = k / (I)s.size1, i1 = k - i0 * (I)s.size1;
        to = (int64_t)i0 * s.out0 + (int64_t)i1 * s.out1 + (int64_t)i2 * s.out2 + (int64_t)i3 * s.out3;
        from = (int64_t)i0 * s.x0 + (int64_t)i1 * s.x1 + (int64_t)i2 * s.x2 + (int64_t)i3 * s.x3;
    }

    template <int N>
    DEVICE void store(int64_t, const In<N>& in) const {
        if (beta == 0.f) {
            in.x.store(out + in.at);
            return;
        }
        float v[N], before[N];
        in.x.widen(v);
        in.before.widen(before);
#pragma unroll
        for (int j = 0; j < N; j++) v[j] += before[j];
        Chunk<T, N>::narrow(v).store(out + in.at);
    }
};

template <class T>
DEVICE void copy(T* out, const T* x, float beta, int64_t n, Space s) {
    Copy<T> op{out, x, beta, s};
    const int64_t steps = s.size3 | s.out0 | s.out1 | s.out2 | s.x0 | s.x1 | s.x2;
    const bool rows = s.out3 == 1 && s.x3 == 1 && steps % VEC<T> == 0;
    each<VEC<T>, 2>(n, rows && aligned16(out, x), op);
}

#define COPY(suffix, T)                                                                                              \
    KERNEL(copy_##suffix, THREADS,                                                                                   \
           (T * out, const T* x, float beta, int64_t n, int32_t size1, int32_t size2, int32_t size3, int64_t out0,   \
            int64_t out1, int64_t out2, int64_t out3, int64_t x0, int64_t x1, int64_t x2, int64_t x3),               \
           copy(out, x, beta, n, Space{size1, size2, size3, out0, out1, out2, out3, x0, x1, x2, x3}))

// copy: out[i . out strides] = x[i . x strides] + beta out, over an index space of four dimensions
// Bytes: (2 + beta) n s                 (strided elements cost a sector of 32 bytes each)
// Operations: ~30 integer per 16 bytes, or per element where rows are not contiguous and aligned on both sides
// Roofline: memory for rows of 16-byte chunks; integer arithmetic else
// Tile: 256 threads, two chunks per thread and turn
COPY(f32, float)
COPY(bf16, bf16)
COPY(f16, f16)
COPY(i32, int32_t)
COPY(u8, uint8_t)

// A matrix of `rows` contiguous rows in x is written as `columns` contiguous rows of out, tile by tile through shared
// memory, for each of matrices0 * matrices1 matrices.
template <class T>
struct Transposed {
    T* out;
    const T* x;
    float beta;
    int32_t rows, columns;
    int64_t x_stride, out_stride;  // from row to row

    // Odd in 32-bit words, so that a warp reads a column of the tile from 32 banks.
    static constexpr int TILE = 64, PITCH = TILE + 4 / (int)sizeof(T);
    static constexpr int STEP = THREADS / TILE, TURNS = TILE / STEP;

    DEVICE void tile(T* shared, int32_t row, int32_t column) const {
        const int lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
        T in[TURNS];
#pragma unroll
        for (int t = 0; t < TURNS; t++) {
            const int32_t r = row + line + t * STEP;
            if (r < rows && column + lane < columns) in[t] = x[r * x_stride + column + lane];
        }
#pragma unroll
        for (int t = 0; t < TURNS; t++) {
            if (row + line + t * STEP < rows && column + lane < columns) {
                shared[(line + t * STEP) * PITCH + lane] = in[t];
            }
        }
        __syncthreads();
#pragma unroll
        for (int t = 0; t < TURNS; t++) {
            const int32_t c = column + line + t * STEP;
            if (c >= columns || row + lane >= rows) continue;
            T element = shared[lane * PITCH + line + t * STEP];
            T& to = out[c * out_stride + row + lane];
            if (beta != 0.f) element = from_float<T>(to_float(element) + to_float(to));
            to = element;
        }
    }
};

template <class T>
DEVICE void transpose(Transposed<T> m, int32_t matrices1, int64_t out0, int64_t out1, int64_t x0, int64_t x1) {
    __shared__ T shared[Transposed<T>::TILE * Transposed<T>::PITCH];
    constexpr int TILE = Transposed<T>::TILE;
    const int32_t across = (m.columns + TILE - 1) / TILE, down = (m.rows + TILE - 1) / TILE;
    const uint32_t matrix = blockIdx.x / (uint32_t)(across * down), tile = blockIdx.x % (uint32_t)(across * down);
    const int64_t i0 = matrix / matrices1, i1 = matrix % matrices1;
    m.out += i0 * out0 + i1 * out1;
    m.x += i0 * x0 + i1 * x1;
    m.tile(shared, (int32_t)(tile / across) * TILE, (int32_t)(tile % across) * TILE);
}

#define TRANSPOSE(suffix, T)                                                                                         \
    KERNEL(transpose_##suffix, THREADS,                                                                              \
           (T * out, const T* x, float beta, int32_t rows, int32_t columns, int64_t x_stride, int64_t out_stride,    \
            int32_t matrices1, int64_t out0, int64_t out1, int64_t x0, int64_t x1),                                  \
           transpose(Transposed<T>{out, x, beta, rows, columns, x_stride, out_stride}, matrices1, out0, out1, x0, x1))

// transpose: out[m][c][r] = x[m][r][c] + beta out: a copy whose innermost dimensions differ
// Bytes: (2 + beta) n s
// Operations: ~4 per element
// Roofline: memory; four load/store instructions per element, a bound of 32 bytes per clock and multiprocessor for
//           2-byte elements, 7 TB/s on an H200
// Tile: 64 x 64 through shared memory, 256 threads, 16 loads in flight per thread: whole sectors on both sides
TRANSPOSE(f32, float)
TRANSPOSE(bf16, bf16)
TRANSPOSE(f16, f16)
TRANSPOSE(i32, int32_t)
TRANSPOSE(u8, uint8_t)
