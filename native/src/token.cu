// Embedding and its gradient.
#include "chunk.cuh"
#include "rows.cuh"

// The rows of a table that are here: those of ids `first` to `first + count` - 1.
struct TableRows {
    int first, count;

    // Which of them is that of an id; `count` or more, seen as unsigned, for the ids of other ranks.
    DEVICE uint32_t of(int32_t id) const {
        return (uint32_t)id - (uint32_t)first;
    }
    DEVICE bool has(uint32_t row) const {
        return row < (uint32_t)count;
    }
};

template <int V, class T>
DEVICE void embedding_rows(T* __restrict__ out, const T* __restrict__ table, const TableRows& here,
                           const int32_t* __restrict__ ids, const T* __restrict__ positions, int64_t n, int time,
                           int columns) {
    const int lane = threadIdx.x % 32;
    for (int64_t row = gridThread() / 32; row < n; row += gridThreads() / 32) {
        const uint32_t place = here.of(ids[row]);
        const bool has = here.has(place);  // the same for the whole warp
        const T* const from = table + (int64_t)(has ? place : 0) * columns;
        const T* const position = positions + (positions ? row % time * columns : 0);
#pragma unroll 4
        for (int c = lane * V; c < columns; c += 32 * V) {
            float v[V] = {};
            if (has) load_chunk(v, from + c);
            if (positions) {
                float p[V];
                load_chunk(p, position + c);
#pragma unroll
                for (int i = 0; i < V; i++) v[i] += p[i];
            }
            store_chunk(out + row * columns + c, v);
        }
    }
}

template <class T>
DEVICE void embedding(T* out, const T* table, const TableRows& here, const int32_t* ids, const T* positions, int64_t n,
                      int time, int columns) {
    if (aligned16(out, table, positions) && columns % VEC<T> == 0) {
        embedding_rows<VEC<T>>(out, table, here, ids, positions, n, time, columns);
    } else {
        embedding_rows<1>(out, table, here, ids, positions, n, time, columns);
    }
}

// embedding: out[n] = table[ids[n] - first], zeros where the table has no such row, plus positions[n % time]
// Bytes: 2 n c s + 4 n (positions come from L2); of rows that are not here, n c s + 4 n
// Operations: n c
// Roofline: memory; no arithmetic to speak of
// Tile: a warp per row, 16 bytes per lane and turn: an id is read once and nothing is divided per element
KERNEL_FLOATS(embedding, BOUNDS(256, 4),
              (T * out, const T* table, int first, int count, const int32_t* ids, const T* positions, int64_t n,
               int time, int columns),
              (embedding(out, table, TableRows{first, count}, ids, positions, n, time, columns)))

// ---- gradient
//
// The rows of dy are brought into the order (row of the table, row of dy) by sorting 8-byte keys, the row of the table
// being the high half, and are then summed along that order, so that each row is read once, whatever the table's size,
// and a frequent id is shared out to many blocks. Ids that have no row here come last and are left out of the sums.
// Sums are formed in the order of rows within TILE positions, then over tiles: the same bits on every run, without
// atomics. Considered and not taken: a chain or a counter per table row (work and memory for the whole vocabulary, and
// one block for all rows of the most frequent id); a stable radix sort (3 launches for each of 2 or 3 digits, where
// sorting in shared memory and one merge do 32768 rows in 2).

constexpr int TILE = 16;  // sorted positions that a block sums in turn
constexpr int MERGED = 16;  // runs that become one
constexpr uint64_t PADDING = ~0ull;  // above every key
constexpr int32_t ELSEWHERE = -1;  // a row of the table that is not here; as the high half of a key above all others

DEVICE int32_t table_row_of(uint64_t key) {
    return (int32_t)(key >> 32);
}

DEVICE int64_t row_of(uint64_t key) {
    return (int64_t)(key & 0xffffffffu);
}

// Bitonic sort of `run` keys, a power of two, in shared memory.
DEVICE void sort_run(uint64_t* out, const TableRows& here, const int32_t* ids, int n, int run) {
    DYN_SMEM(memory, 8);
    uint64_t* const keys = reinterpret_cast<uint64_t*>(memory);
    const int start = (int)blockIdx.x * run;
    for (int i = threadIdx.x; i < run; i += blockDim.x) {
        const int row = start + i;
        keys[i] = PADDING;
        if (row < n) {
            const uint32_t place = here.of(ids[row]);
            keys[i] = (uint64_t)(here.has(place) ? place : (uint32_t)ELSEWHERE) << 32 | (uint32_t)row;
        }
    }
    for (int size = 2; size <= run; size *= 2) {
        for (int distance = size / 2; distance > 0; distance /= 2) {
            __syncthreads();
            for (int pair = threadIdx.x; pair < run / 2; pair += blockDim.x) {
                const int i = 2 * pair - (pair & (distance - 1)), j = i + distance;
                const uint64_t a = keys[i], b = keys[j];
                if ((a > b) == ((i & size) == 0)) {
                    keys[i] = b;
                    keys[j] = a;
                }
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < run && start + i < n; i += blockDim.x) out[start + i] = keys[i];
}

// token_sort: keys (row of the table, row of dy) of each `run` rows, sorted
// Bytes: 12 n
// Operations: ~n log2(run)^2
// Roofline: latency; 66 steps between barriers at 2048 keys
// Tile: a block of 1024 threads sorts up to 2048 keys in 16 KiB of shared memory, so that a step is one comparison
KERNEL(token_sort, 1024, (uint64_t* out, int first, int count, const int32_t* ids, int n, int run),
       (sort_run(out, TableRows{first, count}, ids, n, run)))

// Keys below `key` in the sorted keys[0, count).
DEVICE int keys_below(const uint64_t* keys, int count, uint64_t key) {
    int from = 0;
    while (count > 0) {
        const int half = count / 2;
        if (keys[from + half] < key) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

// A key's place is its place in its own run plus the keys below it in the other runs: keys are distinct.
DEVICE void merge_runs(uint64_t* out, const uint64_t* in, int n, int64_t run) {
    for (int64_t i = gridThread(); i < n; i += gridThreads()) {
        const uint64_t key = in[i];
        const int64_t start = i / (run * MERGED) * (run * MERGED);
        int64_t place = i - i / run * run;
        for (int64_t other = start; other < start + run * MERGED && other < n; other += run) {
            if (other == i / run * run) continue;
            place += keys_below(in + other, (int)(other + run < n ? run : n - other), key);
        }
        out[start + place] = key;
    }
}

// token_merge: 16 sorted runs become one
// Bytes: 16 n, the searches hitting L2
// Operations: ~15 n log2(run)
// Roofline: L2 latency; up to 165 dependent reads per key at runs of 2048, the first of each search shared by all
// Tile: a thread per key
KERNEL(token_merge, 256, (uint64_t* out, const uint64_t* in, int n, int64_t run), merge_runs(out, in, n, run))

struct TokenGradShape {
    int n, columns;
    bool accumulate;  // into the table
};

template <int V, class R>
DEVICE void write_row(R* dTable, const TokenGradShape& s, int32_t row, int column, float (&sum)[V]) {
    R* const to = dTable + (int64_t)row * s.columns + column;
    if (s.accumulate) {
        float old[V];
        load_chunk(old, to);
#pragma unroll
        for (int i = 0; i < V; i++) sum[i] += old[i];
    }
    store_chunk(to, sum);
}

// The two partial rows of a tile: of the table's row that began before it, and of the one that goes on behind it.
DEVICE float* tile_partial(float* partials, int64_t tile, bool last, int columns) {
    return partials + (2 * tile + last) * columns;
}

template <int V, class R, class T>
DEVICE void token_grad_tile(R* dTable, float* partials, const T* dy, const uint64_t* keys, const TokenGradShape& s) {
    constexpr int AHEAD = 8;  // rows in flight
    const int start = (int)blockIdx.x * TILE;
    int end = min(s.n, start + TILE);
    while (end > start && table_row_of(keys[end - 1]) == ELSEWHERE) end--;
    if (end == start) return;
    const bool carried = start > 0 && table_row_of(keys[start - 1]) == table_row_of(keys[start]);
    const bool goesOn = end < s.n && table_row_of(keys[end - 1]) == table_row_of(keys[end]);
    for (int column = (int)threadIdx.x * V; column < s.columns; column += (int)blockDim.x * V) {
        int32_t row = table_row_of(keys[start]);
        bool first = true;
        float sum[V] = {};
        auto flush = [&](bool last) {
            if (first && carried) {
                store_chunk(tile_partial(partials, blockIdx.x, false, s.columns) + column, sum);
            } else if (last && goesOn) {
                store_chunk(tile_partial(partials, blockIdx.x, true, s.columns) + column, sum);
            } else {
                write_row(dTable, s, row, column, sum);
            }
        };
        for (int p = start; p < end; p += AHEAD) {
            Chunk<T, V> rows[AHEAD];
#pragma unroll
            for (int k = 0; k < AHEAD; k++) {
                if (p + k < end) rows[k] = Chunk<T, V>::load(dy + row_of(keys[p + k]) * s.columns + column);
            }
#pragma unroll
            for (int k = 0; k < AHEAD; k++) {
                if (p + k >= end) continue;
                const int32_t next = table_row_of(keys[p + k]);
                if (next != row) {
                    flush(false);
                    first = false;
                    row = next;
#pragma unroll
                    for (int i = 0; i < V; i++) sum[i] = 0;
                }
                float v[V];
                rows[k].widen(v);
#pragma unroll
                for (int i = 0; i < V; i++) sum[i] += v[i];
            }
        }
        flush(true);
    }
}

template <class R, class T>
DEVICE void token_grad(R* dTable, float* partials, const T* dy, const uint64_t* keys, const TokenGradShape& s) {
    if (aligned16(dTable, dy) && s.columns % VEC<T> == 0) {
        token_grad_tile<VEC<T>>(dTable, partials, dy, keys, s);
    } else {
        token_grad_tile<1>(dTable, partials, dy, keys, s);
    }
}

#define TOKEN_GRAD_KERNEL(name, R, T)                                                                                 \
    KERNEL(name, BOUNDS(256, 3),                                                                                      \
           (R * dTable, float* partials, const T* dy, const uint64_t* keys, int n, int columns, int accumulate),      \
           (token_grad(dTable, partials, dy, keys, TokenGradShape{n, columns, accumulate != 0})))

// token_grad: sums of the rows of dy with the same id along the sorted keys, into the table where the id's rows all lie
// in a tile, else into the tile's partial rows
// Bytes: m c s + u c r + 8 n + m c / 2      (m ids with a row here, u of them distinct, r bytes per element of the table;
// partial rows at most)
// Operations: m c
// Roofline: memory; half an operation per byte
// Tile: a block for 16 sorted positions, 16 bytes per thread and row, 8 rows in flight per thread
TOKEN_GRAD_KERNEL(token_grad_f32_f32, float, float)
TOKEN_GRAD_KERNEL(token_grad_bf16_bf16, bf16, bf16)
TOKEN_GRAD_KERNEL(token_grad_bf16_f32, float, bf16)
TOKEN_GRAD_KERNEL(token_grad_f16_f16, f16, f16)
TOKEN_GRAD_KERNEL(token_grad_f16_f32, float, f16)

// The tile where an id begins that goes on behind it adds the partial rows of the tiles that follow, in order.
template <int V, class R>
DEVICE void token_join_rows(R* dTable, float* partials, const uint64_t* keys, const TokenGradShape& s) {
    constexpr int AHEAD = V == 1 ? 8 : 32 / V;  // partial rows in flight: 128 bytes per thread
    const int start = (int)blockIdx.x * TILE, end = start + TILE;
    if (end >= s.n) return;
    const int32_t row = table_row_of(keys[end - 1]);
    const bool begins = start == 0 || table_row_of(keys[start - 1]) != row;  // or within the tile: then too
    if (row == ELSEWHERE || table_row_of(keys[end]) != row || !begins) return;
    for (int column = (int)threadIdx.x * V; column < s.columns; column += (int)blockDim.x * V) {
        float sum[V];
        load_chunk(sum, tile_partial(partials, blockIdx.x, true, s.columns) + column);
        bool more = true;
        for (int64_t tile = blockIdx.x + 1; more; tile += AHEAD) {
            float parts[AHEAD][V];
#pragma unroll
            for (int k = 0; k < AHEAD; k++) {
                const int64_t p = (tile + k) * TILE;
                more = p < s.n && table_row_of(keys[p]) == row;
                if (more) {
                    load_chunk(parts[k], tile_partial(partials, tile + k, false, s.columns) + column);
                } else {
#pragma unroll
                    for (int i = 0; i < V; i++) parts[k][i] = 0;
                }
            }
#pragma unroll
            for (int k = 0; k < AHEAD; k++) {
#pragma unroll
                for (int i = 0; i < V; i++) sum[i] += parts[k][i];
            }
        }
        write_row(dTable, s, row, column, sum);
    }
}

template <class R>
DEVICE void token_join(R* dTable, float* partials, const uint64_t* keys, const TokenGradShape& s) {
    constexpr int V = VEC<R>;
    if (aligned16(dTable) && s.columns % V == 0) {
        token_join_rows<V>(dTable, partials, keys, s);
    } else {
        token_join_rows<1>(dTable, partials, keys, s);
    }
}

// token_join: table rows of the ids whose rows of dy lie in several tiles
// Bytes: at most m c / 4 + u c r
// Operations: m c / 16
// Roofline: L2, where the partial rows still are
// Tile: a block per tile, most of which have nothing to do; 128 bytes of partial rows in flight per thread
KERNEL_FLOATS(token_join, BOUNDS(256, 4),
              (T * dTable, float* partials, const uint64_t* keys, int n, int columns, int accumulate),
              (token_join(dTable, partials, keys, TokenGradShape{n, columns, accumulate != 0})))
