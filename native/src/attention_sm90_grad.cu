// Gradient of causal attention for Hopper (sm_90a): TMA and wgmma; shapes as in attention_sm90.cu.
//
// Two kernels of 3 and 4 products, as by mma.sync and for the same reasons (attention_mma_grad.cu). They mirror each
// other: a block keeps two tiles of rows (queries and dout, or keys and values) and streams two tiles of columns (keys
// and values, or queries and dout) through a ring of stages. One thread loads; two warpgroups own 64 rows each. In both
//     score = rows0 columns0^T,  dp = rows1 columns1^T,  ds = p (dp - delta),  sums0 += ds columns0
// and beside the keys also sums1 += p columns1. The operands p and ds go from accumulators to registers, so every tile
// in shared memory serves as it came: K-major in the first products, MN-major in the second.
//
// The products with ds and p of one tile are under way together with the scores of the next, during the exponentials.
// Only beside keys of 128 dimensions the registers do not hold both, and the overlap is left to the two warpgroups.
#include "attention_sm90.cuh"
#include "chunk.cuh"
#include "reduce.cuh"

constexpr int GRAD_ROWS = 128;
constexpr int GRAD_COLUMNS = 64;
constexpr int GRAD_GROUPS = 2;
constexpr int GRAD_BARRIER = 1;

// Statistics in the workspace, [B, H, 2, padded T]: log2(e) lse, then delta, zeros from T on. Padding makes every
// tile's 64 of them a copy of 256 aligned bytes.
DEVICE int padded(int time) {
    return (time + GRAD_ROWS - 1) / GRAD_ROWS * GRAD_ROWS;
}
DEVICE int64_t statistics_of(const Heads& s, int b, int h) {
    return ((int64_t)b * s.heads + h) * 2 * padded(s.time);
}

// attention_sm90_prepare: the statistics of the gradient, delta = sum over d of dout * out
// Bytes: 2 B T H D s + 12 B T H
// Operations: 2 B T H D
// Roofline: memory
// Tile: 8 lanes per row and head, 16 bytes per lane and turn, as attention_delta
template <class T>
DEVICE void attention_prepare(float* statistics, const T* dOut, const T* out, const float* lse, int64_t rows,
                              const Heads& s) {
    constexpr int LANES = 8;
    const int lane = threadIdx.x % LANES;
    const int64_t step = gridThreads() / LANES;
    const int length = padded(s.time);
    // every lane of a warp takes part in every turn, those past the end with nothing to add
    for (int64_t turn = gridThread() / 32 * 4; turn < rows; turn += step) {
        const int64_t row = turn + threadIdx.x % 32 / LANES;
        const int h = (int)(row % s.heads);
        const int t = (int)(row / s.heads % length);
        const int b = (int)(row / s.heads / length);
        const bool inside = row < rows && t < s.time;
        float sum = 0;
        for (int i = lane * VEC<T>; inside && i < s.dim; i += LANES * VEC<T>) {
            float x[VEC<T>], y[VEC<T>];
            load_vec(x, dOut + s.result(b, t, h) + i);
            load_vec(y, out + s.result(b, t, h) + i);
#pragma unroll
            for (int e = 0; e < VEC<T>; e++) {
                sum = fmaf(x[e], y[e], sum);
            }
        }
        sum = warp_sum<LANES>(sum);
        if (lane == 0 && row < rows) {
            float* at = statistics + statistics_of(s, b, h) + t;
            at[0] = inside ? lse[s.statistic(b, h) + t] * LOG2_E : 0.0f;
            at[length] = sum;
        }
    }
}

// Where things lie in shared memory.
template <int D, int STAGES>
struct GradPlan {
    static constexpr uint32_t PANELS = D / 64;
    static constexpr uint32_t ROWS_BYTES = GRAD_ROWS * 2 * D;
    static constexpr uint32_t COLUMNS_BYTES = GRAD_COLUMNS * 2 * D;
    static constexpr uint32_t STATISTICS = 2 * ROWS_BYTES + 2 * STAGES * COLUMNS_BYTES;
    static constexpr uint32_t STATISTICS_BYTES = 2 * GRAD_COLUMNS * sizeof(float);
    static constexpr uint32_t BARRIERS = STATISTICS + STAGES * STATISTICS_BYTES;
    static constexpr uint32_t BYTES = BARRIERS + 8 * (1 + 2 * STAGES);

    uint32_t base;

    DEVICE uint32_t rows(int which) const {
        return base + which * ROWS_BYTES;
    }
    DEVICE uint32_t columns(int which, int stage) const {
        return base + 2 * ROWS_BYTES + (2 * stage + which) * COLUMNS_BYTES;
    }
    DEVICE uint32_t statistics(int stage) const {
        return STATISTICS + stage * STATISTICS_BYTES;
    }
    DEVICE uint32_t rowsFull() const {
        return base + BARRIERS;
    }
    DEVICE uint32_t full(int stage) const {
        return base + BARRIERS + 8 + 8 * stage;
    }
    DEVICE uint32_t empty(int stage) const {
        return full(stage) + 8 * STAGES;
    }

    DEVICE void init_barriers() const {
        ptx::mbar_init(rowsFull(), 1);
        for (int stage = 0; stage < STAGES; stage++) {
            ptx::mbar_init(full(stage), 1);
            ptx::mbar_init(empty(stage), GRAD_GROUPS * WARPGROUP / 32);
        }
        ptx::fence_mbar_init();
    }
};

// What a block does: rows from `first` on, of query head h or of the key/value head that it reads; columns in `turns`.
struct GradWork {
    int b;
    int h;
    int first;
    int turns;
    int perHead;  // turns per query head, beside the keys

    DEVICE int head(int turn) const {
        return h + turn / perHead;
    }
};

template <bool KEYS>
DEVICE GradWork grad_work(const Heads& s, int pairs) {
    const int tiles = (s.time + GRAD_ROWS - 1) / GRAD_ROWS;
    if (!KEYS) {
        const Work work = longest_first(blockIdx.x, tiles, s, pairs);
        const int first = work.tile * GRAD_ROWS;
        const int turns = (min(first + GRAD_ROWS, s.time) + GRAD_COLUMNS - 1) / GRAD_COLUMNS;
        return GradWork{work.b, work.h, first, turns, turns};
    }
    const int group = s.heads / s.kvHeads;
    Heads shared = s;
    shared.heads = s.kvHeads;
    shared.section = max(1, s.section / group);
    const Work work = longest_first(blockIdx.x, tiles, shared, pairs / group);
    const int first = (tiles - 1 - work.tile) * GRAD_ROWS;  // the first keys are seen by the most queries
    const int perHead = (s.time - first + GRAD_COLUMNS - 1) / GRAD_COLUMNS;
    return GradWork{work.b, work.h * group, first, perHead * group, perHead};
}

template <int PANELS>
DEVICE void load_panels(uint32_t to, const TensorMap* map, int rows, int head, int first, int b, uint32_t barrier) {
    for (int panel = 0; panel < PANELS; panel++) {
        ptx::tma_load_4d(to + panel * rows * PANEL_ROW, map, panel * 64, head, first, b, barrier);
    }
}

// The thread that loads. rowsMap fetches 128 rows of qkv and columnsMap 64; dOutMap 64 beside the keys, else 128.
template <bool KEYS, int STAGES, class Plan>
DEVICE void load_grad(const Plan& plan, const GradWork& work, const TensorMap* rowsMap, const TensorMap* columnsMap,
                      const TensorMap* dOutMap, const float* statistics, const Heads& s) {
    constexpr int PANELS = Plan::PANELS;
    const int key = s.heads + s.shared(work.h);
    const int value = key + s.kvHeads;
    ptx::mbar_arrive_expect(plan.rowsFull(), 2 * Plan::ROWS_BYTES);
    load_panels<PANELS>(plan.rows(0), rowsMap, GRAD_ROWS, KEYS ? key : work.h, work.first, work.b, plan.rowsFull());
    load_panels<PANELS>(plan.rows(1), KEYS ? rowsMap : dOutMap, GRAD_ROWS, KEYS ? value : work.h, work.first, work.b,
                        plan.rowsFull());
    for (int turn = 0; turn < work.turns; turn++) {
        const int stage = turn % STAGES;
        const int first = (KEYS ? work.first : 0) + turn % work.perHead * GRAD_COLUMNS;
        const uint32_t full = plan.full(stage);
        ptx::mbar_wait(plan.empty(stage), turn / STAGES % 2 ^ 1);
        ptx::mbar_arrive_expect(full, 2 * Plan::COLUMNS_BYTES + (KEYS ? Plan::STATISTICS_BYTES : 0));
        load_panels<PANELS>(plan.columns(0, stage), columnsMap, GRAD_COLUMNS, KEYS ? work.head(turn) : key, first,
                            work.b, full);
        load_panels<PANELS>(plan.columns(1, stage), KEYS ? dOutMap : columnsMap, GRAD_COLUMNS,
                            KEYS ? work.head(turn) : value, first, work.b, full);
        if (KEYS) {
            const float* from = statistics + statistics_of(s, work.b, work.head(turn)) + first;
            const uint32_t to = plan.base + plan.statistics(stage);
            constexpr uint32_t BYTES = GRAD_COLUMNS * sizeof(float);
            ptx::bulk_load(to, from, BYTES, full);
            ptx::bulk_load(to + BYTES, from + padded(s.time), BYTES, full);
        }
    }
}

// A warpgroup that computes 64 rows.
template <class T, int D, bool KEYS, class Plan>
struct GradRows {
    const Plan& plan;
    const int group;
    float score[GRAD_COLUMNS / 8][4];
    float dp[GRAD_COLUMNS / 8][4];
    float sums0[D / 8][4];
    float sums1[KEYS ? D / 8 : 1][4];
    uint32_t ds[GRAD_COLUMNS / 16][4] = {};  // zeros: the product before the first tile
    uint32_t p[KEYS ? GRAD_COLUMNS / 16 : 1][4] = {};

    DEVICE GradRows(const Plan& plan, int group) : plan(plan), group(group) {}

    DEVICE void start_scores(int stage) {
#pragma unroll
        for (int which = 0; which < 2; which++) {
            const uint32_t rows = plan.rows(which) + group * GROUP_ROWS * PANEL_ROW;
            const uint32_t columns = plan.columns(which, stage);
#pragma unroll
            for (int k = 0; k < D / 16; k++) {
                const uint32_t panel = k / 4;
                const uint64_t a = ptx::wgmma_k_major_128(rows + panel * GRAD_ROWS * PANEL_ROW + k % 4 * 32);
                const uint64_t b = ptx::wgmma_k_major_128(columns + panel * GRAD_COLUMNS * PANEL_ROW + k % 4 * 32);
                ptx::wgmma<T, GRAD_COLUMNS>(which ? flat(dp) : flat(score), a, b, k > 0);
            }
        }
        ptx::wgmma_commit();
    }

    DEVICE void start_sums(int stage, bool accumulate) {
#pragma unroll
        for (int k = 0; k < GRAD_COLUMNS / 16; k++) {
            const uint32_t step = k * 16 * PANEL_ROW;
            constexpr uint32_t PANEL = GRAD_COLUMNS * PANEL_ROW;
            ptx::wgmma_registers<T, D, 1>(flat(sums0), ds[k],
                                          ptx::wgmma_mn_major_128(plan.columns(0, stage) + step, PANEL),
                                          accumulate || k > 0);
            if constexpr (KEYS) {
                ptx::wgmma_registers<T, D, 1>(flat(sums1), p[k],
                                              ptx::wgmma_mn_major_128(plan.columns(1, stage) + step, PANEL),
                                              accumulate || k > 0);
            }
        }
        ptx::wgmma_commit();
    }

    template <int N>
    DEVICE void wait_scores() {
        ptx::wgmma_wait<N>(flat(score));
        ptx::wgmma_done(flat(dp));
    }

    template <int N>
    DEVICE void wait_sums() {
        ptx::wgmma_wait<N>(flat(sums0));
        if constexpr (KEYS) {
            ptx::wgmma_done(flat(sums1));
        }
    }

    DEVICE void pack() {
#pragma unroll
        for (int k = 0; k < GRAD_COLUMNS / 16; k++) {
            pack_fragment<T>(ds[k], dp[2 * k], dp[2 * k + 1]);
            if constexpr (KEYS) {
                pack_fragment<T>(p[k], score[2 * k], score[2 * k + 1]);
            }
        }
    }

    // score becomes p and dp becomes ds. `apart`: how far the first column of the tile is right of this warp's first
    // row; `lse` and `delta` are of the rows, beside the queries, or in shared memory, of the columns.
    DEVICE void differentiate(int apart, float scale2, const float (&lse)[2], const float (&delta)[2],
                              const float* columnStatistics) {
        const int lane = threadIdx.x % 32;
        const bool diagonal = KEYS ? apart < 15 : apart + GRAD_COLUMNS > 1;
#pragma unroll
        for (int n = 0; n < GRAD_COLUMNS / 8; n++) {
            float2 l = make_float2(0, 0), d = make_float2(0, 0);
            if (KEYS) {
                const int column = n * 8 + lane % 4 * 2;
                l = *reinterpret_cast<const float2*>(columnStatistics + column);
                d = *reinterpret_cast<const float2*>(columnStatistics + GRAD_COLUMNS + column);
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float shift = KEYS ? (i % 2 ? l.y : l.x) : lse[i / 2];
                const float less = KEYS ? (i % 2 ? d.y : d.x) : delta[i / 2];
                const int right = apart + n * 8 + lane % 4 * 2 + i % 2 - (lane / 4 + i / 2 * 8);
                const bool hidden = diagonal && (KEYS ? right < 0 : right > 0);
                const float e = hidden ? 0.0f : ptx::ex2(fmaf(score[n][i], scale2, -shift));
                score[n][i] = e;
                dp[n][i] = e * (dp[n][i] - less);
            }
        }
    }
};

// attention_sm90_grad_query: dq = scale ds k, with ds = p (dout v^T - delta)
// Bytes: B T (3 H + 2 Hkv) D s + 8 B H T, keys and values again for every further tile of queries (from L2)
// Operations: 3 B H T^2 D + B H T^2 / 2 exponentials
// Roofline: compute, tensor cores; intensity as in the forward pass
// Tile: 128 queries x 64 keys, two warpgroups of 240 registers; 98 KiB at D = 64 with 4 stages, 162 KiB at D = 128 with
// 3

// attention_sm90_grad_key: dv = sum over queries of p^T dout, dk = scale sum of ds^T q, over the query heads that share
// the keys, in order
// Bytes: B T (2 H + 4 Hkv) D s + 8 B H T, queries and dout again for every further tile of keys (from L2)
// Operations: 4 B H T^2 D + B H T^2 / 2 exponentials
// Roofline: compute, tensor cores
// Tile: 128 keys x 64 queries; the sums of dk and dv take D of the 240 registers, scores and dp 64, their packed forms
// 32; with 32 queries the scores' products would wait for shared memory, which then serves a as often as b
template <class T, int D, bool KEYS, int STAGES>
DEVICE void attention_grad(T* dQkv, const float* statistics, const TensorMap* rowsMap, const TensorMap* columnsMap,
                           const TensorMap* dOutMap, int pairs, const Heads& s) {
#if SM90A_CODE
    constexpr bool OVERLAP = !KEYS || D <= 64;
    using Plan = GradPlan<D, STAGES>;
    DYN_SMEM(shared, 1024);
    const Plan plan{ptx::shared_address(shared)};
    if (threadIdx.x == 0) {
        plan.init_barriers();
    }
    __syncthreads();
    const GradWork work = grad_work<KEYS>(s, pairs);
    if (threadIdx.x < WARPGROUP) {
        ptx::setmaxnreg_dec<24>();
        if (threadIdx.x == 0) {
            load_grad<KEYS, STAGES>(plan, work, rowsMap, columnsMap, dOutMap, statistics, s);
        }
        return;
    }
    ptx::setmaxnreg_inc<240>();
    const int group = warpgroup() - 1;
    const int lane = threadIdx.x % 32;
    const int warpRow = group * GROUP_ROWS + threadIdx.x % WARPGROUP / 32 * 16;
    const int row = work.first + warpRow;
    const float scale2 = s.scale * LOG2_E;
    float lse[2] = {0, 0}, delta[2] = {0, 0};
    if (!KEYS) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float* of = statistics + statistics_of(s, work.b, work.h) + row + lane / 4 + half * 8;
            lse[half] = of[0];
            delta[half] = of[padded(s.time)];
        }
    }
    GradRows<T, D, KEYS, Plan> rows(plan, group);
    ptx::mbar_wait(plan.rowsFull(), 0);
    auto differentiate = [&](int turn) {
        const int column = (KEYS ? work.first : 0) + turn % work.perHead * GRAD_COLUMNS;
        rows.differentiate(column - row, scale2, lse, delta,
                           reinterpret_cast<const float*>(shared + plan.statistics(turn % STAGES)));
    };
    if constexpr (OVERLAP) {
        int before = 0;  // the stage of the tile whose sums are to come; at the start the first tile's, times zero
        for (int turn = 0; turn < work.turns; turn++) {
            const int stage = turn % STAGES;
            ptx::mbar_wait(plan.full(stage), turn / STAGES % 2);
            ptx::wgmma_fence();
            rows.start_scores(stage);
            rows.start_sums(before, turn > 0);
            rows.template wait_scores<1>();
            differentiate(turn);
            rows.template wait_sums<0>();
            if (turn > 0) {
                arrive_per_warp(plan.empty(before));
            }
            rows.pack();
            before = stage;
        }
        ptx::wgmma_fence();
        rows.start_sums(before, true);
        rows.template wait_sums<0>();
        arrive_per_warp(plan.empty(before));
    } else {
        for (int turn = 0; turn < work.turns; turn++) {
            const int stage = turn % STAGES;
            ptx::mbar_wait(plan.full(stage), turn / STAGES % 2);
            ptx::wgmma_fence();
            rows.start_scores(stage);
            rows.template wait_scores<0>();
            differentiate(turn);
            rows.pack();
            ptx::wgmma_fence();
            rows.start_sums(stage, turn > 0);
            rows.template wait_sums<0>();
            arrive_per_warp(plan.empty(stage));
        }
    }

    // All products are done: the tiles of rows become the staging of the results.
    ptx::bar_sync(GRAD_BARRIER, GRAD_GROUPS * WARPGROUP);
    T* to = dQkv + (KEYS ? s.key(work.b, work.h) : s.query(work.b, work.h));
    unsigned char* staging = shared + warpRow * ROW_BYTES<D>;
    store_rows<D>(to, s.width(), row, s.time, s.dim, staging,
                  [&](int c, int i) { return rows.sums0[c][i] * s.scale; });
    if constexpr (KEYS) {
        store_rows<D>(dQkv + s.value(work.b, work.h), s.width(), row, s.time, s.dim, staging,
                      [&](int c, int i) { return rows.sums1[c][i]; });
    }
#endif
}

#define GRAD_PARAMETERS(T)                                                                                             \
    (T * dQkv, const float* statistics, const __grid_constant__ TensorMap rowsMap,                                     \
     const __grid_constant__ TensorMap columnsMap, const __grid_constant__ TensorMap dOutMap, int pairs, HEADS)

#define ATTENTION_SM90_GRAD(suffix, T, size, stages)                                                                   \
    KERNEL(attention_sm90_grad_query_d##size##_##suffix, BOUNDS(3 * WARPGROUP, 1), GRAD_PARAMETERS(T),                 \
           (attention_grad<T, size, false, stages>(dQkv, statistics, &rowsMap, &columnsMap, &dOutMap, pairs,           \
                                                   HEADS_GIVEN)))                                                      \
    KERNEL(attention_sm90_grad_key_d##size##_##suffix, BOUNDS(3 * WARPGROUP, 1), GRAD_PARAMETERS(T),                   \
           (attention_grad<T, size, true, stages>(dQkv, statistics, &rowsMap, &columnsMap, &dOutMap, pairs,            \
                                                  HEADS_GIVEN)))

#define ATTENTION_SM90_GRAD_ALL(suffix, T)                                                                             \
    KERNEL(attention_sm90_prepare_##suffix, 256,                                                                       \
           (float* statistics, const T* dOut, const T* out, const float* lse, int64_t rows, HEADS),                    \
           (attention_prepare<T>(statistics, dOut, out, lse, rows, HEADS_GIVEN)))                                      \
    ATTENTION_SM90_GRAD(suffix, T, 64, 4)                                                                              \
    ATTENTION_SM90_GRAD(suffix, T, 128, 3)

ATTENTION_SM90_GRAD_ALL(bf16, bf16)
ATTENTION_SM90_GRAD_ALL(f16, f16)
