// Causal attention for Hopper (sm_90a): tiles come by TMA, products are wgmma, and the softmax of one tile runs while
// the tensor cores work on another. bf16 and f16, head dimensions that are multiples of 8 up to 128, any length,
// grouped queries; 16-byte aligned qkv.
//
// A block is persistent: it takes tiles of queries from the list of longest_first, gridDim.x apart. One warpgroup, of
// which a single thread works, loads: queries, then keys and values tile by tile into a ring of stages. Each of the
// other warpgroups owns 64 rows of queries. Two overlaps keep the tensor cores busy during exponentials:
//   - within a warpgroup, the scores of tile j and the product of the probabilities of tile j - 1 with its values are
//     both under way before the softmax of tile j begins;
//   - between warpgroups, named barriers let them issue their products in turn, so that one computes its softmax
//     while the products of another run, instead of all of them wanting the same unit at the same time.
#include "attention_sm90.cuh"

constexpr int FIRST_TURN_BARRIER = 1;

// Where things lie in shared memory, the same for both kinds of warpgroup.
template <int D, int GROUPS, int KEYS, int STAGES>
struct Sm90Plan {
    static constexpr uint32_t QUERIES = GROUPS * GROUP_ROWS;
    static constexpr uint32_t PANELS = D / 64;
    static constexpr uint32_t QUERY_BYTES = QUERIES * 2 * D;
    static constexpr uint32_t TILE = KEYS * 2 * D;
    static constexpr uint32_t STAGING = QUERY_BYTES + 2 * STAGES * TILE;
    static constexpr uint32_t BARRIERS = STAGING + QUERY_BYTES;
    static constexpr uint32_t BYTES = BARRIERS + 8 * (2 + 4 * STAGES);

    uint32_t query;

    DEVICE uint32_t key(int stage) const {
        return query + QUERY_BYTES + stage * TILE;
    }
    DEVICE uint32_t value(int stage) const {
        return query + QUERY_BYTES + (STAGES + stage) * TILE;
    }
    DEVICE uint32_t queryFull() const {
        return query + BARRIERS;
    }
    DEVICE uint32_t queryEmpty() const {
        return query + BARRIERS + 8;
    }
    // Of keys (which = 0) or values (1) in a stage.
    DEVICE uint32_t full(int which, int stage) const {
        return query + BARRIERS + 16 + 8 * (which * STAGES + stage);
    }
    DEVICE uint32_t empty(int which, int stage) const {
        return full(which, stage) + 16 * STAGES;
    }

    DEVICE void init_barriers() const {
        constexpr int WARPS = GROUPS * WARPGROUP / 32;  // each warp says when it no longer reads
        ptx::mbar_init(queryFull(), 1);
        ptx::mbar_init(queryEmpty(), WARPS);
        for (int which = 0; which < 2; which++) {
            for (int stage = 0; stage < STAGES; stage++) {
                ptx::mbar_init(full(which, stage), 1);
                ptx::mbar_init(empty(which, stage), WARPS);
            }
        }
        ptx::fence_mbar_init();
    }
};

// The thread that loads. Every wait is for the ring to drain, so it runs ahead of the products by all stages.
template <class Plan, int STAGES, int KEYS>
DEVICE void load_tiles(const Plan& plan, const TensorMap* queryMap, const TensorMap* keyMap, int total, int pairs,
                       const Heads& s) {
    const int tiles = (s.time + Plan::QUERIES - 1) / Plan::QUERIES;
    int fill = 0;
    int round = 0;
    for (int index = blockIdx.x; index < total; index += gridDim.x, round++) {
        const Work work = longest_first(index, tiles, s, pairs);
        const int first = work.tile * Plan::QUERIES;
        ptx::mbar_wait(plan.queryEmpty(), round % 2 ^ 1);
        ptx::mbar_arrive_expect(plan.queryFull(), Plan::QUERY_BYTES);
        for (uint32_t panel = 0; panel < Plan::PANELS; panel++) {
            ptx::tma_load_4d(plan.query + panel * Plan::QUERIES * PANEL_ROW, queryMap, panel * 64, work.h, first,
                             work.b, plan.queryFull());
        }
        const int keyHead = s.heads + s.shared(work.h);
        for (int key = 0; key < min(first + (int)Plan::QUERIES, s.time); key += KEYS, fill++) {
            const int stage = fill % STAGES;
            const uint32_t parity = fill / STAGES % 2;
            for (int which = 0; which < 2; which++) {
                const uint32_t to = which ? plan.value(stage) : plan.key(stage);
                ptx::mbar_wait(plan.empty(which, stage), parity ^ 1);
                ptx::mbar_arrive_expect(plan.full(which, stage), Plan::TILE);
                for (uint32_t panel = 0; panel < Plan::PANELS; panel++) {
                    ptx::tma_load_4d(to + panel * KEYS * PANEL_ROW, keyMap, panel * 64, keyHead + which * s.kvHeads,
                                     key, work.b, plan.full(which, stage));
                }
            }
        }
    }
}

// A warpgroup that computes 64 rows.
template <class T, class Plan, int D, int GROUPS, int KEYS, int STAGES>
struct Sm90Rows {
    const Plan& plan;
    const int group;
    int fill = 0;  // tiles of keys and values that came before this tile of queries
    int turn = 0;
    float score[KEYS / 8][4];
    float sums[D / 8][4];
    uint32_t p[KEYS / 16][4];

    DEVICE Sm90Rows(const Plan& plan, int group) : plan(plan), group(group) {}

    DEVICE int stage(int j) const {
        return (fill + j) % STAGES;
    }
    DEVICE uint32_t parity(int j) const {
        return (fill + j) / STAGES % 2;
    }
    DEVICE void wait_full(int which, int j) const {
        ptx::mbar_wait(plan.full(which, stage(j)), parity(j));
    }
    DEVICE void release(int which, int j) const {
        arrive_per_warp(plan.empty(which, stage(j)));
    }

    // Starts score = q k^T of tile j.
    DEVICE void start_scores(int j) {
        const uint32_t rows = plan.query + group * GROUP_ROWS * PANEL_ROW;
        const uint32_t keys = plan.key(stage(j));
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            const uint32_t panel = k / 4;
            const uint64_t a = ptx::wgmma_k_major_128(rows + panel * Plan::QUERIES * PANEL_ROW + k % 4 * 32);
            const uint64_t b = ptx::wgmma_k_major_128(keys + panel * KEYS * PANEL_ROW + k % 4 * 32);
            ptx::wgmma<T, KEYS>(flat(score), a, b, k > 0);
        }
        ptx::wgmma_commit();
    }

    // Starts sums += p v of tile j; the values lie along the inner dimension, so b is MN-major.
    DEVICE void start_sums(int j) {
        const uint32_t values = plan.value(stage(j));
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            const uint64_t b = ptx::wgmma_mn_major_128(values + k * 16 * PANEL_ROW, KEYS * PANEL_ROW);
            ptx::wgmma_registers<T, D, 1>(flat(sums), p[k], b, j > 0 || k > 0);
        }
        ptx::wgmma_commit();
    }

    DEVICE void pack_probabilities() {
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            pack_fragment<T>(p[k], score[2 * k], score[2 * k + 1]);
        }
    }

    // This warpgroup's turn to issue products begins when the one before it has issued its own.
    DEVICE void begin_turn() {
        if (group > 0 || turn > 0) {
            ptx::bar_sync(FIRST_TURN_BARRIER + group, 2 * WARPGROUP);
        }
        turn++;
    }
    DEVICE void end_turn() const {
        ptx::bar_arrive(FIRST_TURN_BARRIER + (group + 1) % GROUPS, 2 * WARPGROUP);
    }
    // Takes the last turn's arrival, which no turn follows.
    DEVICE void end_turns() const {
        if (group == 0 && turn > 0) {
            ptx::bar_sync(FIRST_TURN_BARRIER, 2 * WARPGROUP);
        }
    }

    // One tile of queries: `tiles` of keys for the block, the first `mine` of them for these rows from `row` (of this
    // warp) on.
    DEVICE void attend(RunningSoftmax& softmax, int tiles, int mine, int row, float scale2) {
        if (mine > 0) {
            wait_full(0, 0);
            ptx::wgmma_fence();
            start_scores(0);
            ptx::wgmma_wait<0>(flat(score));
            release(0, 0);
            if (KEYS > row + 1) {
                mask_diagonal(score, row, 0);
            }
            softmax.add(score, scale2);
            pack_probabilities();
        }
        for (int j = 1; j < mine; j++) {
            wait_full(0, j);
            begin_turn();
            ptx::wgmma_fence();
            start_scores(j);
            wait_full(1, j - 1);
            start_sums(j - 1);
            end_turn();
            ptx::wgmma_wait<1>(flat(score));
            release(0, j);
            if ((j + 1) * KEYS > row + 1) {
                mask_diagonal(score, row, j * KEYS);
            }
            const bool grown = softmax.add(score, scale2);
            ptx::wgmma_wait<0>(flat(sums));
            release(1, j - 1);
            if (grown) {
                softmax.rescale(sums);
            }
            pack_probabilities();
        }
        arrive_per_warp(plan.queryEmpty());  // the next tile's queries may come
        if (mine > 0) {
            wait_full(1, mine - 1);
            ptx::wgmma_fence();
            start_sums(mine - 1);
            ptx::wgmma_wait<0>(flat(sums));
            release(1, mine - 1);
        }
        // Tiles that only other rows of the block see: every warpgroup takes as many turns and releases as many stages.
        // It does so without having waited for them; the turn before it keeps it from releasing a stage twice while
        // another warpgroup has yet to release it once: that one has by then issued its products of tile j - 1, so
        // is done with the keys of tile j - 2 and the values of tile j - 3, or, where it is the earlier one, a tile
        // more.
        for (int j = mine; j < tiles; j++) {
            if (j > 0) {
                begin_turn();
                end_turn();
            }
            release(0, j);
            release(1, j);
        }
        fill += tiles;
    }
};

// attention_sm90: out = softmax(scale q k^T, causal) v, one pass over the keys with a running maximum
// Bytes: B T (2 H + 2 Hkv) D s + 4 B H T, keys and values again for every further tile of queries (from L2)
// Operations: 2 B H T^2 D (half of the full square) + B H T^2 / 2 exponentials
// Roofline: compute, 989 TFLOP/s dense bf16 on an H200; at D = 64 the exponentials (16 per clock and multiprocessor)
// take as long as the products, at D = 128 half as long, so both bounds are met only by overlapping the two
// Tile: D = 128: 128 queries x 128 keys, two computing warpgroups of 240 registers (64 scores, 64 sums, 32 packed
// probabilities), 2 stages, 192 KiB; D = 64: 192 queries x 128 keys, three warpgroups of 160 registers, since half the
// sums fit more rows, 3 stages, 144 KiB. One block per multiprocessor. Probabilities stay in registers as the a
// operand: shared memory then serves only b, whose 128 rows are read once for 64 rows of a
template <class T, int D, int GROUPS, int KEYS, int STAGES>
DEVICE void attention(T* out, float* lse, const TensorMap* queryMap, const TensorMap* keyMap, int total, int pairs,
                      const Heads& s) {
#if SM90A_CODE
    using Plan = Sm90Plan<D, GROUPS, KEYS, STAGES>;
    DYN_SMEM(shared, 1024);
    const Plan plan{ptx::shared_address(shared)};
    if (threadIdx.x == 0) {
        plan.init_barriers();
    }
    __syncthreads();

    if (threadIdx.x < WARPGROUP) {
        ptx::setmaxnreg_dec<GROUPS == 2 ? 24 : 32>();
        if (threadIdx.x == 0) {
            load_tiles<Plan, STAGES, KEYS>(plan, queryMap, keyMap, total, pairs, s);
        }
        return;
    }
    ptx::setmaxnreg_inc<GROUPS == 2 ? 240 : 160>();
    const int group = warpgroup() - 1;
    const int lane = threadIdx.x % 32;
    const int warpRow = group * GROUP_ROWS + threadIdx.x % WARPGROUP / 32 * 16;
    const int tiles = (s.time + Plan::QUERIES - 1) / Plan::QUERIES;
    Sm90Rows<T, Plan, D, GROUPS, KEYS, STAGES> rows(plan, group);
    int round = 0;
    for (int index = blockIdx.x; index < total; index += gridDim.x, round++) {
        const Work work = longest_first(index, tiles, s, pairs);
        const int first = work.tile * Plan::QUERIES;
        const int groupFirst = first + group * GROUP_ROWS;
        const int end = min(first + (int)Plan::QUERIES, s.time);
        const int groupEnd = groupFirst < s.time ? min(groupFirst + (int)GROUP_ROWS, s.time) : 0;
        ptx::mbar_wait(plan.queryFull(), round % 2);
        RunningSoftmax softmax;
        rows.attend(softmax, (end + KEYS - 1) / KEYS, (groupEnd + KEYS - 1) / KEYS, first + warpRow,
                    s.scale * LOG2_E);
        if (groupEnd == 0) {
            continue;
        }
        softmax.finish();
        float factor[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            factor[half] = 1.0f / softmax.total[half];
            const int row = first + warpRow + lane / 4 + half * 8;
            if (lane % 4 == 0 && row < s.time) {
                lse[s.statistic(work.b, work.h) + row] = softmax.log_sum_exp(half, s.scale);
            }
        }
        store_rows<D>(out + s.result(work.b, 0, work.h), (int64_t)s.heads * s.dim, first + warpRow, s.time, s.dim,
                      shared + Plan::STAGING + warpRow * ROW_BYTES<D>,
                      [&](int c, int i) { return rows.sums[c][i] * factor[i / 2]; });
    }
    rows.end_turns();
#endif
}

#define ATTENTION_SM90(suffix, T)                                                                                      \
    KERNEL(attention_sm90_d64_##suffix, BOUNDS(4 * WARPGROUP, 1),                                                      \
           (T * out, float* lse, const __grid_constant__ TensorMap queryMap,                                           \
            const __grid_constant__ TensorMap keyMap, int total, int pairs, HEADS),                                    \
           (attention<T, 64, 3, 128, 3>(out, lse, &queryMap, &keyMap, total, pairs, HEADS_GIVEN)))                     \
    KERNEL(attention_sm90_d128_##suffix, BOUNDS(3 * WARPGROUP, 1),                                                     \
           (T * out, float* lse, const __grid_constant__ TensorMap queryMap,                                           \
            const __grid_constant__ TensorMap keyMap, int total, int pairs, HEADS),                                    \
           (attention<T, 128, 2, 128, 2>(out, lse, &queryMap, &keyMap, total, pairs, HEADS_GIVEN)))

ATTENTION_SM90(bf16, bf16)
ATTENTION_SM90(f16, f16)
