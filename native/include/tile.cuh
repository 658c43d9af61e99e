// tile.cuh: tiles of a matrix that become low-precision copies, as they are and transposed.
#pragma once
#include "scaled.cuh"

constexpr int THREADS = 256;

// ---- scales

// Magnitudes in the order of their bits: NaN above infinity above everything else.
DEVICE uint32_t magnitude(float x) {
    return __float_as_uint(x) & 0x7fffffff;
}

// Maps `amax` to the largest value of a type; NaN stays NaN.
DEVICE float scale_for(float amax, float largest) {
    constexpr float LEAST = 1.17549435e-38f;  // 2^-126
    const float scale = __fdiv_rn(amax, largest);
    return scale < LEAST ? LEAST : scale;
}

DEVICE float largest_of(int type) {
    return type == E4M3 ? 448.f : type == E5M2 ? 57344.f : type == I8 ? 127.f : 7.f;
}

// Over groups of WIDTH lanes, for each of them.
template <int WIDTH>
DEVICE uint32_t most_of(uint32_t x) {
#pragma unroll
    for (int distance = WIDTH / 2; distance > 0; distance /= 2) {
        x = max(x, __shfl_xor_sync(0xffffffffu, x, distance));
    }
    return x;
}

// amax[0] = max(amax[0], `most` of each thread of the block): maxima have no order, so one atomic per block gives the
// same bits on every run.
DEVICE void raise(uint32_t* amax, uint32_t most) {
    __shared__ uint32_t block;
    if (threadIdx.x == 0) block = 0;
    __syncthreads();
    most = most_of<32>(most);
    if (threadIdx.x % 32 == 0) atomicMax(&block, most);
    __syncthreads();
    if (threadIdx.x == 0) atomicMax(amax, block);
}

// ---- tiles

// A tile has 128 columns and a multiple of 16 rows; a thread has 8 neighbours of every 16th row.
constexpr int TILE = 128;
constexpr int LINES = THREADS / (TILE / 8);
template <int ROWS>
constexpr int TURNS = ROWS / LINES;

// In shared memory: whole 16-byte accesses along a row, and lanes side by side read a column.
template <class T>
constexpr int PITCH = TILE + VEC<T>;

// A copy to be made; `values` null: none. Its scales are those of all of it (WHOLE), or there already (GIVEN), or of
// 128 neighbours of a row or of 128 x 128 elements (else): a tile then has all there is to know.
struct Copy {
    uint8_t* values;
    float* scales;
    Blocks blocks;
    bool given;
    int32_t lines, length;  // rows and columns
    int type;
    bool vector;

    DEVICE Copy(uint8_t* values, float* scales, int32_t rows, int32_t columns, bool given, int32_t lines,
                int32_t length, int type)
        : values(values),
          scales(scales),
          blocks{rows, columns, columns >= length ? 1 : (length + columns - 1) / columns},
          given(given),
          lines(lines),
          length(length),
          type(type),
          vector(steps_aligned<8>(values, length)) {}

    DEVICE int count(int32_t line, int32_t step) const {
        return line < lines ? length - step : 0;
    }

    // 8 neighbours of a line, of a block whose largest magnitude is `most`.
    DEVICE void put(float (&v)[8], int32_t line, int32_t step, uint32_t most) const {
        const int n = count(line, step);
        if (n <= 0) return;
        if (!given || blocks.hold<8>(length)) {
            const float scale =
                given ? scales[blocks.at(line, step)] : scale_for(__uint_as_float(most), largest_of(type));
            const float inverse = __fdiv_rn(1.f, scale);
#pragma unroll
            for (int j = 0; j < 8; j++) v[j] = __fmul_rn(v[j], inverse);
        } else {
#pragma unroll
            for (int j = 0; j < 8; j++) {
                if (j < n) v[j] = __fmul_rn(v[j], __fdiv_rn(1.f, scales[blocks.at(line, step + j)]));
            }
        }
        store_codes(values, (int64_t)line * length + step, type, vector, n, narrow(v, type));
    }

    // The same block's scale, by one thread of those that hold it.
    DEVICE void put_scale(int32_t line, int32_t step, uint32_t most) const {
        if (!given && count(line, step) > 0) {
            scales[blocks.at(line, step)] = scale_for(__uint_as_float(most), largest_of(type));
        }
    }

    DEVICE void atomic_most(int32_t line, int32_t step, uint32_t most) const {
        if (count(line, step) > 0) atomicMax(reinterpret_cast<uint32_t*>(scales) + blocks.at(line, step), most);
    }
};

// Elements into shared memory, for `each_column`; a barrier must come between.
template <int ROWS, class T>
DEVICE void park(T* tile, const float (&v)[TURNS<ROWS>][8]) {
#pragma unroll
    for (int t = 0; t < TURNS<ROWS>; t++) {
        store_vec(tile + (threadIdx.x / 16 + t * LINES) * PITCH<T> + threadIdx.x % 16 * 8, v[t]);
    }
}

// f(8 elements below each other, their column, their first row), in the tile.
template <int ROWS, class T, class F>
DEVICE void each_column(const T* tile, F f) {
#pragma unroll 1
    for (int i = threadIdx.x; i < TILE * (ROWS / 8); i += THREADS) {
        const int column = i % TILE, row = i / TILE * 8;
        float v[8];
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = to_float(tile[(row + j) * PITCH<T> + column]);
        f(v, column, row);
    }
}
