// Low precision: the largest magnitudes, scales, copies in 8 and 4 bits with their transposes, and back. The same bits
// as on every other backend: maxima have no order, and all arithmetic is correctly rounded.
#include "fold.cuh"
#include "tile.cuh"

// ---- scales

template <class T>
DEVICE void abs_max(uint32_t* amax, const T* x, int64_t n) {
    uint32_t most = 0;
    fold<4>(x, n, [&](float v, int) { most = max(most, magnitude(v)); });
    raise(amax, most);
}

// abs_max: amax[0] = max(amax[0], |x|), by the bits
// Bytes: n s
// Operations: 2 n
// Roofline: memory
// Tile: 256 threads, four 16-byte loads per thread and turn; one atomic maximum per block, which has no order
KERNEL_FLOATS(abs_max, THREADS, (uint32_t* amax, const T* x, int64_t n), abs_max(amax, x, n))

DEVICE void scales_of(float* scales, const float* amax, int32_t count, float largest) {
    for (int64_t i = gridThread(); i < count; i += gridThreads()) scales[i] = scale_for(amax[i], largest);
}

// scale_of: scales = max(amax / largest, 2^-126); scales may be amax
// Bytes: 8 count
// Operations: ~10 count
// Roofline: latency; some thousand scales at most
// Tile: 256 threads
KERNEL(scale_of, THREADS, (float* scales, const float* amax, int32_t count, float largest),
       scales_of(scales, amax, count, largest))

// A warp has a tensor; history is read before it is written.
DEVICE void delay(float* scales, float* history, float* amax, int32_t ranks, const float* largest, int32_t length) {
    const int lane = threadIdx.x, tensor = blockIdx.x;
    uint32_t now = 0;
    for (int32_t r = lane; r < ranks; r += 32) {
        float& of_rank = amax[(int64_t)r * gridDim.x + tensor];
        now = max(now, magnitude(of_rank));
        of_rank = 0.f;
    }
    now = most_of<32>(now);
    float* line = history + (int64_t)tensor * length;
    uint32_t most = 0;
    for (int32_t i = length - 1 - lane; i + lane >= 0; i -= 32) {  // the same turns for all lanes
        const float moved = i > 0 ? line[i - 1] : i == 0 ? __uint_as_float(now) : 0.f;
        if (magnitude(moved) < 0x7f800000) most = max(most, magnitude(moved));
        __syncwarp();
        if (i >= 0) line[i] = moved;
        __syncwarp();
    }
    most = most_of<32>(most);
    if (lane == 0 && most > 0) scales[tensor] = scale_for(__uint_as_float(most), largest[tensor]);
}

// delay_scales: history[n, h] moves on by one and takes the largest of amax[r, n] over ranks, scales are those of the
// largest finite value in it
// Bytes: 8 n h
// Operations: 4 n h
// Roofline: latency; some hundred tensors with histories of 16 to 1024
// Tile: a warp for each tensor, from the end of its history to the front
KERNEL(delay_scales, 32,
       (float* scales, float* history, float* amax, int32_t ranks, const float* largest, int32_t length),
       delay(scales, history, amax, ranks, largest, length))

// ---- copies in low precision

// Largest magnitudes in a tile: of this thread's rows (the same for the 16 threads of a row), of columns, of all.
struct Maxima {
    uint32_t row[TURNS<TILE>];
    const uint32_t* column;
    uint32_t all;

    DEVICE void find(const float (&v)[TURNS<TILE>][8]) {
        __shared__ uint32_t columns[TILE];
        __shared__ uint32_t tile;
        if (threadIdx.x < TILE) columns[threadIdx.x] = 0;
        if (threadIdx.x == 0) tile = 0;
        __syncthreads();
        uint32_t down[8] = {}, thread = 0;
#pragma unroll
        for (int t = 0; t < TURNS<TILE>; t++) {
            row[t] = 0;
#pragma unroll
            for (int j = 0; j < 8; j++) {
                row[t] = max(row[t], magnitude(v[t][j]));
                down[j] = max(down[j], magnitude(v[t][j]));
            }
            row[t] = most_of<16>(row[t]);
            thread = max(thread, row[t]);
        }
#pragma unroll
        for (int j = 0; j < 8; j++) atomicMax(&columns[threadIdx.x % 16 * 8 + j], down[j]);
        if (threadIdx.x % 16 == 0) atomicMax(&tile, thread);
        __syncthreads();
        column = columns;
        all = tile;
    }
};

// The magnitudes of a tile into the blocks of both copies, where a block is not what a tile knows: whole rows, groups.
DEVICE void collect(const Copy& out, const Copy& transposed, const float (&v)[TURNS<TILE>][8], const Maxima& most,
                    int32_t row0, int32_t column0) {
    const int lane = threadIdx.x % 16, line = threadIdx.x / 16;
    const bool rows = out.values && out.given && out.blocks.hold<TILE>(out.length);
    const bool columns = transposed.values && transposed.given && transposed.blocks.hold<TILE>(transposed.length);
    if (columns && threadIdx.x < TILE) {
        transposed.atomic_most(column0 + threadIdx.x, row0, most.column[threadIdx.x]);
    }
#pragma unroll
    for (int t = 0; t < TURNS<TILE>; t++) {
        const int32_t row = row0 + line + t * LINES;
        if (rows && lane == 0) out.atomic_most(row, column0, most.row[t]);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int32_t column = column0 + lane * 8 + j;
            if (out.values && !rows) out.atomic_most(row, column, magnitude(v[t][j]));
            if (transposed.values && !columns) transposed.atomic_most(column, row, magnitude(v[t][j]));
        }
    }
}

template <class T>
DEVICE void quantize(const Copy& out, const Copy& transposed, const T* x, int32_t rows, int32_t columns,
                     bool collecting) {
    DYN_SMEM(shared, 16);
    T* tile = reinterpret_cast<T*>(shared);
    const int32_t across = (columns + TILE - 1) / TILE;
    const int32_t row0 = (int32_t)(blockIdx.x / across) * TILE, column0 = (int32_t)(blockIdx.x % across) * TILE;
    const int lane = threadIdx.x % 16, line = threadIdx.x / 16;
    const int32_t column = column0 + lane * 8;
    const bool vector = columns % 8 == 0 && aligned16(x);
    float v[TURNS<TILE>][8];
#pragma unroll
    for (int t = 0; t < TURNS<TILE>; t++) {
        const int32_t row = row0 + line + t * LINES;
        const int count = row < rows ? columns - column : 0;
        load_row(v[t], x + (count > 0 ? (int64_t)row * columns + column : 0), vector && count > 0, count);
    }
    Maxima most{};
    if (collecting || (out.values && !out.given) || (transposed.values && !transposed.given)) most.find(v);
    if (collecting) {
        collect(out, transposed, v, most, row0, column0);
        return;
    }
    if (transposed.values) park<TILE>(tile, v);
    if (out.values) {
        const bool square = out.blocks.rows == TILE;
#pragma unroll
        for (int t = 0; t < TURNS<TILE>; t++) {
            const int32_t row = row0 + line + t * LINES;
            const uint32_t m = square ? most.all : most.row[t];
            if (lane == 0 && (!square || row == row0)) out.put_scale(row, column0, m);
            out.put(v[t], row, column, m);
        }
    }
    if (!transposed.values) return;
    __syncthreads();
    const bool square = transposed.blocks.rows == TILE;
    each_column<TILE>(tile, [&](float (&w)[8], int c, int row) {
        const uint32_t m = square ? most.all : transposed.given ? 0 : most.column[c];
        if (row == 0 && (!square || c == 0)) transposed.put_scale(column0 + c, row0, m);
        transposed.put(w, column0 + c, row0 + row, m);
    });
}

// quantize: low-precision copies of x[n, c], as it is and transposed, in blocks with a scale each; or, `collecting`,
//       the largest magnitudes of blocks that are not within a tile, into the place of their scales
// Bytes: n c (s + 1 for each copy); x twice for blocks that are not whole matrices, lines or squares
// Operations: ~20 n c
// Roofline: memory; for bf16 and both copies 5 operations per byte
// Tile: 128 x 128, so that a tile has whole blocks of both copies (lines and squares of 128) and both are made from
//       one pass over x; 256 threads with 8 rows of 8 elements each, all in flight at once. The transposed copy is
//       read from shared memory column by column, eight to a store
KERNEL_FLOATS(quantize, THREADS,
              (const T* x, int32_t rows, int32_t columns, int32_t type, uint8_t* out, float* out_scales,
               int32_t out_rows, int32_t out_columns, int32_t out_given, uint8_t* transposed, float* transposed_scales,
               int32_t transposed_rows, int32_t transposed_columns, int32_t transposed_given, int32_t collecting),
              quantize(Copy(out, out_scales, out_rows, out_columns, out_given != 0, rows, columns, type),
                       Copy(transposed, transposed_scales, transposed_rows, transposed_columns, transposed_given != 0,
                            columns, rows, type),
                       x, rows, columns, collecting != 0))

// ---- and back

template <class T>
DEVICE void dequantize(T* out, const uint8_t* values, const float* scales, const int8_t* zeros, Blocks blocks, int type,
                       int32_t rows, int32_t columns) {
    const int32_t eights = (columns + 7) / 8;
    const bool vector_in = steps_aligned<8>(values, columns), vector_out = columns % 8 == 0 && aligned16(out);
    const bool one = blocks.hold<8>(columns);
    for (int64_t i = gridThread(); i < (int64_t)rows * eights; i += gridThreads()) {
        const int32_t row = (int32_t)(i / eights), column = (int32_t)(i - (int64_t)row * eights) * 8;
        const int count = columns - column;
        const int64_t at = (int64_t)row * columns + column;
        float v[8];
        widen(v, load_codes<8>(values, at, type, vector_in, count), type);
        int64_t block = blocks.at(row, column);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            if (j >= count) break;
            if (!one) block = blocks.at(row, column + j);
            v[j] = (v[j] - (zeros ? (float)zeros[block] : 0.f)) * scales[block];
        }
        store_row(out + at, v, vector_out, count);
    }
}

// dequantize: out[n, c] = (x - zeros) scales
// Bytes: n c (s + 1), of I4 n c (s + 1/2)
// Operations: ~8 n c, some 60 more per 8 elements to find their place and scale
// Roofline: memory
// Tile: 256 threads, 8 neighbours of a row per thread and turn: 16 bytes of bf16
KERNEL_FLOATS(dequantize, THREADS,
              (T * out, const uint8_t* values, const float* scales, const int8_t* zeros, int32_t block_rows,
               int32_t block_columns, int32_t across, int32_t type, int32_t rows, int32_t columns),
              dequantize(out, values, scales, zeros, Blocks{block_rows, block_columns, across}, type, rows, columns))
