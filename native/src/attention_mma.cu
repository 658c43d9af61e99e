// Causal attention on the tensor cores by mma.sync: bf16 and f16, head dimensions that are multiples of 8 up to 128,
// any length, grouped queries; pointers and rows aligned to 16 bytes. For sm_80 and everything later; sm_90a has its
// own.
#include "attention_mma.cuh"

// attention_mma: out = softmax(scale q k^T, causal) v, one pass over the keys with a running maximum
// Bytes: B T (2 H + 2 Hkv) D s + 4 B H T, keys and values again for every further tile of queries (from L2)
// Operations: 2 B H T^2 D (half of the full square) + B H T^2 / 2 exponentials
// Roofline: compute; at D = 64 the exponentials (16 per clock and multiprocessor) take as long as the products, 256
// operations per score, and at D = 128 half as long
// Tile: at D = 64 128 queries x 64 keys, 4 warps of 32 rows: a fragment of keys or values from shared memory then
// serves two products, else shared memory (128 bytes per clock) is the limit; at D = 128 the registers hold 16 rows per
// warp. Keys and values double-buffered: 48 KiB at D = 64, 80 KiB at D = 128; two blocks per multiprocessor, so that
// one's softmax can run beside the other's products
template <class T, int D, int M, int KEYS>
DEVICE void attention(T* out, float* lse, const T* qkv, int pairs, const Heads& s) {
    constexpr int QUERIES = MMA_THREADS / 32 * M * 16;
    constexpr bool QUERY_IN_REGISTERS = M * D <= 128;
    DYN_SMEM(shared, 256);
    const uint32_t queryTile = ptx::shared_address(shared);
    const uint32_t keyTiles = queryTile + TILE_BYTES<D, QUERIES>;
    const uint32_t valueTiles = keyTiles + 2 * TILE_BYTES<D, KEYS>;
    const Work work = longest_first(blockIdx.x, (s.time + QUERIES - 1) / QUERIES, s, pairs);
    const int first = work.tile * QUERIES;
    const int warpRow = threadIdx.x / 32 * M * 16;
    const int lane = threadIdx.x % 32;
    const T* keys = qkv + s.key(work.b, work.h);
    const T* values = qkv + s.value(work.b, work.h);
    const Fragments<D> byRow = fragments_by_row<D>();
    const Fragments<D> byColumn = fragments_by_column<D>();
    const float scale2 = s.scale * LOG2_E;

    load_tile<D, QUERIES>(queryTile, qkv + s.query(work.b, work.h), s.width(), first, s.time, s.dim);
    load_tile<D, KEYS>(keyTiles, keys, s.width(), 0, s.time, s.dim);
    load_tile<D, KEYS>(valueTiles, values, s.width(), 0, s.time, s.dim);
    ptx::cp_async_commit();

    RunningSoftmax softmax[M];
    float sums[M][D / 8][4] = {};
    uint32_t query[QUERY_IN_REGISTERS ? D / 16 : 1][M][4];
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
        if (QUERY_IN_REGISTERS && key == 0) {
#pragma unroll
            for (int k = 0; k < D / 16; k++) {
#pragma unroll
                for (int m = 0; m < M; m++) {
                    ptx::ldmatrix_x4(query[k][m], byRow.at(queryTile, warpRow + m * 16, k));
                }
            }
        }
        if (key >= first + warpRow + M * 16) {
            continue;  // above the diagonal for all rows of this warp
        }

        float score[M][KEYS / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            if (!QUERY_IN_REGISTERS) {
#pragma unroll
                for (int m = 0; m < M; m++) {
                    ptx::ldmatrix_x4(query[0][m], byRow.at(queryTile, warpRow + m * 16, k));
                }
            }
#pragma unroll
            for (int n = 0; n < KEYS / 16; n++) {
                uint32_t b[4];
                ptx::ldmatrix_x4(b, byColumn.at(keyTiles + stage, n * 16, k));
#pragma unroll
                for (int m = 0; m < M; m++) {
                    mma(score[m][2 * n], query[QUERY_IN_REGISTERS ? k : 0][m], b[0], b[1], T{});
                    mma(score[m][2 * n + 1], query[QUERY_IN_REGISTERS ? k : 0][m], b[2], b[3], T{});
                }
            }
        }
        if (key + KEYS > first + warpRow + 1) {
#pragma unroll
            for (int m = 0; m < M; m++) {
                mask_diagonal(score[m], first + warpRow + m * 16, key);
            }
        }
#pragma unroll
        for (int m = 0; m < M; m++) {
            if (softmax[m].add(score[m], scale2)) {
                softmax[m].rescale(sums[m]);
            }
        }
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            uint32_t p[M][4];
#pragma unroll
            for (int m = 0; m < M; m++) {
                pack_fragment<T>(p[m], score[m][2 * k], score[m][2 * k + 1]);
            }
#pragma unroll
            for (int c = 0; c < D / 16; c++) {
                uint32_t b[4];
                ptx::ldmatrix_x4_trans(b, byRow.at(valueTiles + stage, k * 16, c));
#pragma unroll
                for (int m = 0; m < M; m++) {
                    mma(sums[m][2 * c], p[m], b[0], b[1], T{});
                    mma(sums[m][2 * c + 1], p[m], b[2], b[3], T{});
                }
            }
        }
    }

#pragma unroll
    for (int m = 0; m < M; m++) {
        const int warpFirst = first + warpRow + m * 16;
        softmax[m].finish();
        float factor[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            factor[half] = 1.0f / softmax[m].total[half];
            const int row = warpFirst + lane / 4 + half * 8;
            if (lane % 4 == 0 && row < s.time) {
                lse[s.statistic(work.b, work.h) + row] = softmax[m].log_sum_exp(half, s.scale);
            }
        }
        // the warp's own rows of the query tile: no other warp reads them, and this one no longer does
        store_rows<D>(out + s.result(work.b, 0, work.h), (int64_t)s.heads * s.dim, warpFirst, s.time, s.dim,
                      shared + (warpRow + m * 16) * ROW_BYTES<D>,
                      [&](int c, int i) { return sums[m][c][i] * factor[i / 2]; });
    }
}

KERNEL(attention_mma_d64_bf16, MMA_THREADS, (bf16 * out, float* lse, const bf16* qkv, int pairs, HEADS),
       (attention<bf16, 64, 2, 64>(out, lse, qkv, pairs, HEADS_GIVEN)))
KERNEL(attention_mma_d64_f16, MMA_THREADS, (f16 * out, float* lse, const f16* qkv, int pairs, HEADS),
       (attention<f16, 64, 2, 64>(out, lse, qkv, pairs, HEADS_GIVEN)))
KERNEL(attention_mma_d128_bf16, MMA_THREADS, (bf16 * out, float* lse, const bf16* qkv, int pairs, HEADS),
       (attention<bf16, 128, 1, 64>(out, lse, qkv, pairs, HEADS_GIVEN)))
KERNEL(attention_mma_d128_f16, MMA_THREADS, (f16 * out, float* lse, const f16* qkv, int pairs, HEADS),
       (attention<f16, 128, 1, 64>(out, lse, qkv, pairs, HEADS_GIVEN)))
