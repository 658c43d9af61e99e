// Gradient of causal attention on the tensor cores by mma.sync; shapes as in attention_mma.cu.
//
// Two kernels of 3 and 4 products each instead of one of 5: dk and dv belong to a block of keys, dq to a block of
// queries, and whoever computes both must add one of them across blocks, in fp32 in global memory, by atomics (another
// result on every run) or in turn (blocks that wait for each other, with a [T, D] fp32 workspace per head read and
// written T / tile times). Here every sum lives in the registers of one warp from start to end.
//
// The probabilities come back from the stored log-sum-exp: p = 2^(scale2 s - log2(e) lse), without a running maximum.
#include "attention_mma.cuh"

// attention_mma_grad_query: dq = scale ds k, with ds = p (dout v^T - delta)
// Bytes: B T (3 H + 2 Hkv) D s + 8 B H T, keys and values again for every further tile of queries (from L2)
// Operations: 3 B H T^2 D + B H T^2 / 2 exponentials
// Roofline: compute, tensor cores; intensity as in the forward pass
// Tile: 64 queries x 64 keys, 4 warps of 16 rows, ds passes from accumulators to operand in registers; keys and values
// double-buffered: 48 KiB at D = 64, 96 KiB at D = 128, two blocks per multiprocessor
template <class T, int D, int KEYS>
DEVICE void attention_grad_query(T* dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, int pairs,
                                 const Heads& s) {
    constexpr int QUERIES = MMA_THREADS / 32 * 16;
    DYN_SMEM(shared, 256);
    const uint32_t queryTile = ptx::shared_address(shared);
    const uint32_t dOutTile = queryTile + TILE_BYTES<D, QUERIES>;
    const uint32_t keyTiles = dOutTile + TILE_BYTES<D, QUERIES>;
    const uint32_t valueTiles = keyTiles + 2 * TILE_BYTES<D, KEYS>;
    const Work work = longest_first(blockIdx.x, (s.time + QUERIES - 1) / QUERIES, s, pairs);
    const int first = work.tile * QUERIES;
    const int warpRow = threadIdx.x / 32 * 16;
    const int lane = threadIdx.x % 32;
    const T* keys = qkv + s.key(work.b, work.h);
    const T* values = qkv + s.value(work.b, work.h);
    const Fragments<D> byRow = fragments_by_row<D>();
    const Fragments<D> byColumn = fragments_by_column<D>();
    const float scale2 = s.scale * LOG2_E;

    load_tile<D, QUERIES>(queryTile, qkv + s.query(work.b, work.h), s.width(), first, s.time, s.dim);
    load_tile<D, QUERIES>(dOutTile, dOut + s.result(work.b, 0, work.h), (int64_t)s.heads * s.dim, first, s.time, s.dim);
    load_tile<D, KEYS>(keyTiles, keys, s.width(), 0, s.time, s.dim);
    load_tile<D, KEYS>(valueTiles, values, s.width(), 0, s.time, s.dim);
    ptx::cp_async_commit();

    float rowLse[2], rowDelta[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int64_t at = s.statistic(work.b, work.h) + min(first + warpRow + lane / 4 + half * 8, s.time - 1);
        rowLse[half] = lse[at] * LOG2_E;
        rowDelta[half] = delta[at];
    }
    float dQuery[D / 8][4] = {};
    const int end = min(first + QUERIES, s.time);
    for (int key = 0; key < end; key += KEYS) {
        const uint32_t stage = key / KEYS % 2 * TILE_BYTES<D, KEYS>;
        ptx::cp_async_wait<0>();
        __syncthreads();  // this stage has arrived for all, and the other is no longer read
        if (key + KEYS < end) {
            load_tile<D, KEYS>(keyTiles + (TILE_BYTES<D, KEYS> - stage), keys, s.width(), key + KEYS, s.time, s.dim);
            load_tile<D, KEYS>(valueTiles + (TILE_BYTES<D, KEYS> - stage), values, s.width(), key + KEYS, s.time,
                               s.dim);
            ptx::cp_async_commit();
        }
        float score[KEYS / 8][4] = {};
        float dProbability[KEYS / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            uint32_t query[4], dResult[4];
            ptx::ldmatrix_x4(query, byRow.at(queryTile, warpRow, k));
            ptx::ldmatrix_x4(dResult, byRow.at(dOutTile, warpRow, k));
#pragma unroll
            for (int n = 0; n < KEYS / 16; n++) {
                uint32_t b[4];
                ptx::ldmatrix_x4(b, byColumn.at(keyTiles + stage, n * 16, k));
                mma(score[2 * n], query, b[0], b[1], T{});
                mma(score[2 * n + 1], query, b[2], b[3], T{});
                ptx::ldmatrix_x4(b, byColumn.at(valueTiles + stage, n * 16, k));
                mma(dProbability[2 * n], dResult, b[0], b[1], T{});
                mma(dProbability[2 * n + 1], dResult, b[2], b[3], T{});
            }
        }
        const bool diagonal = key + KEYS > first + warpRow + 1;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int column = key + n * 8 + lane % 4 * 2 + i % 2;
                const int row = first + warpRow + lane / 4 + i / 2 * 8;
                const float p = ptx::ex2(fmaf(score[n][i], scale2, -rowLse[i / 2]));
                const float ds = p * (dProbability[n][i] - rowDelta[i / 2]);
                score[n][i] = diagonal && column > row ? 0.0f : ds;
            }
        }
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            uint32_t dScore[4];
            pack_fragment<T>(dScore, score[2 * k], score[2 * k + 1]);
#pragma unroll
            for (int c = 0; c < D / 16; c++) {
                uint32_t b[4];
                ptx::ldmatrix_x4_trans(b, byRow.at(keyTiles + stage, k * 16, c));
                mma(dQuery[2 * c], dScore, b[0], b[1], T{});
                mma(dQuery[2 * c + 1], dScore, b[2], b[3], T{});
            }
        }
    }
    // the warp's own rows of the query tile: no other warp reads them, and this one no longer does
    store_rows<D>(dQkv + s.query(work.b, work.h), s.width(), first + warpRow, s.time, s.dim,
                  shared + warpRow * ROW_BYTES<D>, [&](int c, int i) { return dQuery[c][i] * s.scale; });
}

// attention_mma_grad_key: dv = sum over queries of p^T dout, dk = scale sum of ds^T q, over the query heads that share
// the keys, in order
// Bytes: B T (2 H + 4 Hkv) D s + 8 B H T, queries and dout again for every further tile of keys (from L2)
// Operations: 4 B H T^2 D + B H T^2 / 2 exponentials
// Roofline: compute, tensor cores
// Tile: 16 M keys per warp, 4 warps; scores are computed transposed (keys by queries), so that p^T and ds^T are
// operands straight from the accumulators; 32 queries and dout per turn, double-buffered. The accumulators of dk and dv
// take 2 M D / 8 x 4 registers: M = 2 at D = 64, 1 at D = 128
template <class T, int D, int M, int QUERIES>
DEVICE void attention_grad_key(T* dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta,
                               const Heads& s) {
    constexpr int KEYS = MMA_THREADS / 32 * M * 16;
    constexpr uint32_t STAGE_BYTES = 2 * TILE_BYTES<D, QUERIES> + 2 * QUERIES * sizeof(float);
    static_assert(2 * QUERIES <= MMA_THREADS && STAGE_BYTES % 256 == 0, "one statistic per thread, aligned stages");
    DYN_SMEM(shared, 256);
    const uint32_t keyTile = ptx::shared_address(shared);
    const uint32_t valueTile = keyTile + TILE_BYTES<D, KEYS>;
    const uint32_t stages = valueTile + TILE_BYTES<D, KEYS>;
    const int b = blockIdx.z;
    const int group = s.heads / s.kvHeads;
    const int firstHead = blockIdx.y * group;
    const int first = blockIdx.x * KEYS;  // the first keys are seen by the most queries: longest first
    const int warpRow = threadIdx.x / 32 * M * 16;
    const int lane = threadIdx.x % 32;
    const Fragments<D> byRow = fragments_by_row<D>();
    const Fragments<D> byColumn = fragments_by_column<D>();
    const float scale2 = s.scale * LOG2_E;
    const int tiles = (s.time - first + QUERIES - 1) / QUERIES;

    // stage: queries, dout, then their lse and delta, zeros past the end: p = 1, dout = 0 and ds = 0 there
    auto load = [&](int turn) {
        const uint32_t to = stages + turn % 2 * STAGE_BYTES;
        const int h = firstHead + turn / tiles;
        const int q = first + turn % tiles * QUERIES;
        load_tile<D, QUERIES>(to, qkv + s.query(b, h), s.width(), q, s.time, s.dim);
        load_tile<D, QUERIES>(to + TILE_BYTES<D, QUERIES>, dOut + s.result(b, 0, h), (int64_t)s.heads * s.dim, q,
                              s.time, s.dim);
        const int i = threadIdx.x % QUERIES;
        if (threadIdx.x < 2 * QUERIES) {
            const float* statistics = (threadIdx.x < QUERIES ? lse : delta) + s.statistic(b, h);
            ptx::cp_async4(to + 2 * TILE_BYTES<D, QUERIES> + threadIdx.x * sizeof(float), statistics + q + i,
                           q + i < s.time ? 4 : 0);
        }
        ptx::cp_async_commit();
    };
    load_tile<D, KEYS>(keyTile, qkv + s.key(b, firstHead), s.width(), first, s.time, s.dim);
    load_tile<D, KEYS>(valueTile, qkv + s.value(b, firstHead), s.width(), first, s.time, s.dim);
    load(0);

    float dKey[M][D / 8][4] = {};
    float dValue[M][D / 8][4] = {};
    for (int turn = 0; turn < group * tiles; turn++) {
        const uint32_t queryTile = stages + turn % 2 * STAGE_BYTES;
        const uint32_t dOutTile = queryTile + TILE_BYTES<D, QUERIES>;
        const int q = first + turn % tiles * QUERIES;
        ptx::cp_async_wait<0>();
        __syncthreads();  // this stage has arrived for all, and the other is no longer read
        if (turn + 1 < group * tiles) {
            load(turn + 1);
        }
        if (q + QUERIES <= first + warpRow) {
            continue;  // no query of this tile sees a key of this warp
        }
        float score[M][QUERIES / 8][4] = {};
        float dProbability[M][QUERIES / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            uint32_t key[M][4], value[M][4];
#pragma unroll
            for (int m = 0; m < M; m++) {
                ptx::ldmatrix_x4(key[m], byRow.at(keyTile, warpRow + m * 16, k));
                ptx::ldmatrix_x4(value[m], byRow.at(valueTile, warpRow + m * 16, k));
            }
#pragma unroll
            for (int n = 0; n < QUERIES / 16; n++) {
                uint32_t x[4], y[4];
                ptx::ldmatrix_x4(x, byColumn.at(queryTile, n * 16, k));
                ptx::ldmatrix_x4(y, byColumn.at(dOutTile, n * 16, k));
#pragma unroll
                for (int m = 0; m < M; m++) {
                    mma(score[m][2 * n], key[m], x[0], x[1], T{});
                    mma(score[m][2 * n + 1], key[m], x[2], x[3], T{});
                    mma(dProbability[m][2 * n], value[m], y[0], y[1], T{});
                    mma(dProbability[m][2 * n + 1], value[m], y[2], y[3], T{});
                }
            }
        }
        const float* statistics =
            reinterpret_cast<const float*>(shared + (queryTile - keyTile) + 2 * TILE_BYTES<D, QUERIES>);
        const bool diagonal = q < first + warpRow + M * 16 - 1;
#pragma unroll
        for (int n = 0; n < QUERIES / 8; n++) {
            const int column = n * 8 + lane % 4 * 2;
            const float2 columnLse = *reinterpret_cast<const float2*>(statistics + column);
            const float2 columnDelta = *reinterpret_cast<const float2*>(statistics + QUERIES + column);
#pragma unroll
            for (int m = 0; m < M; m++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const float shift = (i % 2 ? columnLse.y : columnLse.x) * LOG2_E;
                    const bool seen = first + warpRow + m * 16 + lane / 4 + i / 2 * 8 <= q + column + i % 2;
                    const float e = ptx::ex2(fmaf(score[m][n][i], scale2, -shift));
                    const float p = !diagonal || seen ? e : 0.0f;
                    score[m][n][i] = p;
                    dProbability[m][n][i] = p * (dProbability[m][n][i] - (i % 2 ? columnDelta.y : columnDelta.x));
                }
            }
        }
#pragma unroll
        for (int k = 0; k < QUERIES / 16; k++) {
            uint32_t p[M][4], dScore[M][4];
#pragma unroll
            for (int m = 0; m < M; m++) {
                pack_fragment<T>(p[m], score[m][2 * k], score[m][2 * k + 1]);
                pack_fragment<T>(dScore[m], dProbability[m][2 * k], dProbability[m][2 * k + 1]);
            }
#pragma unroll
            for (int c = 0; c < D / 16; c++) {
                uint32_t x[4], y[4];
                ptx::ldmatrix_x4_trans(y, byRow.at(dOutTile, k * 16, c));
                ptx::ldmatrix_x4_trans(x, byRow.at(queryTile, k * 16, c));
#pragma unroll
                for (int m = 0; m < M; m++) {
                    mma(dValue[m][2 * c], p[m], y[0], y[1], T{});
                    mma(dValue[m][2 * c + 1], p[m], y[2], y[3], T{});
                    mma(dKey[m][2 * c], dScore[m], x[0], x[1], T{});
                    mma(dKey[m][2 * c + 1], dScore[m], x[2], x[3], T{});
                }
            }
        }
    }
#pragma unroll
    for (int m = 0; m < M; m++) {
        // the warp's own rows of the tiles of keys and values, as in the query kernel
        const int row = warpRow + m * 16;
        store_rows<D>(dQkv + s.key(b, firstHead), s.width(), first + row, s.time, s.dim,
                      shared + row * ROW_BYTES<D>, [&](int c, int i) { return dKey[m][c][i] * s.scale; });
        store_rows<D>(dQkv + s.value(b, firstHead), s.width(), first + row, s.time, s.dim,
                      shared + TILE_BYTES<D, KEYS> + row * ROW_BYTES<D>, [&](int c, int i) { return dValue[m][c][i]; });
    }
}

#define ATTENTION_MMA_GRAD(suffix, T, size, m, queries)                                                                \
    KERNEL(attention_mma_grad_query_d##size##_##suffix, MMA_THREADS,                                                   \
           (T * dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, int pairs, HEADS),            \
           (attention_grad_query<T, size, 64>(dQkv, dOut, qkv, lse, delta, pairs, HEADS_GIVEN)))                       \
    KERNEL(attention_mma_grad_key_d##size##_##suffix, MMA_THREADS,                                                     \
           (T * dQkv, const T* dOut, const T* qkv, const float* lse, const float* delta, HEADS),                       \
           (attention_grad_key<T, size, m, queries>(dQkv, dOut, qkv, lse, delta, HEADS_GIVEN)))

ATTENTION_MMA_GRAD(bf16, bf16, 64, 2, 32)
ATTENTION_MMA_GRAD(bf16, bf16, 128, 1, 32)
ATTENTION_MMA_GRAD(f16, f16, 64, 2, 32)
ATTENTION_MMA_GRAD(f16, f16, 128, 1, 32)
