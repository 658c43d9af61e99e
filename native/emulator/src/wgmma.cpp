// wgmma.cpp: matrix products of a warpgroup. A thread that issues one leaves its operands; accumulators hold NaN until
// waited for; the last of the 128 threads to wait computes what its wait covers (or, by setting, the last to issue).
#include "hopper.h"
#include "matrix.h"

namespace emulator {

// ---- operands in shared memory

struct Descriptor {
    uint32_t start, leading, stride;
    unsigned swizzle;  // bytes, 0 for none
};

static Descriptor decoded(uint64_t bits) {
    static const unsigned swizzleBytes[] = {0, 128, 64, 32};
    return {uint32_t(bits & 0x3fff) << 4, uint32_t(bits >> 16 & 0x3fff) << 4, uint32_t(bits >> 32 & 0x3fff) << 4,
            swizzleBytes[bits >> 62]};
}

// The address of 16 bytes of a K-major operand: `row` of m or n, `part` 0 or 1 along k.
static uint32_t kMajorAddress(const Descriptor& d, unsigned row, unsigned part) {
    const uint32_t rowBytes = d.swizzle ? d.swizzle : 16;
    return d.start + row / 8 * d.stride + row % 8 * rowBytes + part * (d.swizzle ? 16 : d.leading);
}

// The address of 16 bytes of an MN-major operand: 8 elements from 8 `part` on along m or n, at `k`.
static uint32_t mnMajorAddress(const Descriptor& d, unsigned part, unsigned k) {
    if (!d.swizzle) return d.start + part * d.stride + k % 8 * 16 + k / 8 * d.leading;
    const unsigned parts = d.swizzle / 16;
    return d.start + part % parts * 16 + part / parts * d.leading + k % 8 * d.swizzle + k / 8 * d.stride;
}

constexpr int MAX_K = 32, MAX_N = 256;

static const unsigned char* readPart(Thread* thread, uint32_t address, unsigned swizzle, const void* pc) {
    const unsigned char* p = sharedMemory(thread, swizzled(address, swizzle), 16, "wgmma operand", pc);
    checkAccess(thread, {p, 16, false, "wgmma", pc});
    checkProxyRead(thread, p, 16, "wgmma", pc);
    return p;
}

static float elementAt(Operand type, const unsigned char* p, unsigned index) {
    uint32_t word;
    const unsigned perWord = hasEightBits(type) ? 4 : 2;
    memcpy(&word, p + index / perWord * 4, 4);
    return elementOf(type, word, (int)(index % perWord));
}

// Calls set(row, k, value) for all elements.
template <class F>
static void readOperand(Thread* thread, uint64_t descriptor, bool mnMajor, Operand type, unsigned rows, const void* pc,
                        F set) {
    const Descriptor d = decoded(descriptor);
    const unsigned perPart = hasEightBits(type) ? 16 : 8;
    if (mnMajor) {
        for (unsigned k = 0; k < 16; k++) {
            for (unsigned part = 0; part < rows / 8; part++) {
                const unsigned char* p = readPart(thread, mnMajorAddress(d, part, k), d.swizzle, pc);
                for (unsigned i = 0; i < 8; i++) set(part * 8 + i, k, elementAt(type, p, i));
            }
        }
        return;
    }
    for (unsigned row = 0; row < rows; row++) {
        for (unsigned part = 0; part < 2; part++) {
            const unsigned char* p = readPart(thread, kMajorAddress(d, row, part), d.swizzle, pc);
            for (unsigned i = 0; i < perPart; i++) set(row, part * perPart + i, elementAt(type, p, i));
        }
    }
}

// The device reads the registers at some time before the wait ends: until then they must keep their values.
static void checkRegisters(const WgmmaOperation& op) {
    for (unsigned t = 0; t < WARPGROUP; t++) {
        if (!memcmp(op.a[t], op.registers[t], sizeof op.a[t])) continue;
        fail(Cause::WGMMA, op.pc, "the registers of a have changed between the instruction and the wait");
    }
}

// a in registers: as for mma.sync, 16 rows per warp.
template <class F>
static void readRegisters(const WgmmaOperation& op, F set) {
    const unsigned perWord = hasEightBits(op.issue.typeA) ? 4 : 2;
    for (unsigned t = 0; t < WARPGROUP; t++) {
        for (unsigned r = 0; r < 4; r++) {
            const unsigned row = t / 32 * 16 + t % 32 / 4 + (r & 1) * 8;
            for (unsigned i = 0; i < perWord; i++) {
                const unsigned k = t % 4 * perWord + i + (r >> 1) * 4 * perWord;
                set(row, k, elementOf(op.issue.typeA, op.a[t][r], (int)i));
            }
        }
    }
}

// ---- computing

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define WITH_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define WITH_AVX2
#endif

// d[64][n] = a[64][k] b[k][n]
WITH_AVX2 static void multiply(const float (*a)[MAX_K], const float (*b)[MAX_N], float (*d)[MAX_N], int k, int n) {
    for (int row = 0; row < 64; row++) {
        for (int col = 0; col < n; col++) d[row][col] = 0;
        for (int i = 0; i < k; i++) {
            const float factor = a[row][i];
            for (int col = 0; col < n; col++) d[row][col] += factor * b[i][col];
        }
    }
}

static void perform(Thread* me, Warpgroup& group, WgmmaOperation& op) {
    struct Tiles {
        float a[64][MAX_K], b[MAX_K][MAX_N], d[64][MAX_N];
    };
    const auto tiles = std::make_unique<Tiles>();
    const WgmmaIssue& issue = op.issue;
    const auto setA = [&](unsigned row, unsigned k, float v) { tiles->a[row][k] = v; };
    if (issue.registers) {
        readRegisters(op, setA);
    } else {
        readOperand(me, issue.a, issue.transposeA, issue.typeA, 64, op.pc, setA);
    }
    readOperand(me, issue.b, issue.transposeB, issue.typeB, (unsigned)issue.n, op.pc,
                [&](unsigned col, unsigned k, float v) { tiles->b[k][col] = v; });
    multiply(tiles->a, tiles->b, tiles->d, hasEightBits(issue.typeA) ? 32 : 16, issue.n);
    for (unsigned t = 0; t < WARPGROUP; t++) {
        std::vector<float>& d = group.saved[t][op.accumulators[t]];
        for (int i = 0; i < issue.n / 2; i++) {
            const float v =
                tiles->d[16 * (t / 32) + t % 32 / 4 + 8 * (i >> 1 & 1)][8 * (i / 4) + 2 * (t % 4) + (i & 1)];
            d[i] = issue.accumulate ? d[i] + v : v;
        }
    }
    op.performed = true;
}

// ---- issuing

void wgmmaFence() {
    Thread* me = current();
    hopperOf(*me->block).warpgroups[me->number / WARPGROUP].fenced[me->number % WARPGROUP] = true;
}

static bool sameOperands(const WgmmaIssue& x, const WgmmaIssue& y) {
    return x.typeA == y.typeA && x.typeB == y.typeB && x.n == y.n && x.transposeA == y.transposeA &&
           x.transposeB == y.transposeB && x.accumulate == y.accumulate && !x.registers == !y.registers && x.a == y.a &&
           x.b == y.b;
}

void wgmma(float* d, const WgmmaIssue& issue) {
    const void* pc = __builtin_return_address(0);
    Thread* me = current();
    Warpgroup& group = hopperOf(*me->block).warpgroups[me->number / WARPGROUP];
    const unsigned i = me->number % WARPGROUP;
    if (!group.fenced[i]) fail(Cause::WGMMA, pc, "no wgmma_fence since the accumulators were last touched");
    const uint64_t index = group.issued[i]++ - group.firstOperation;
    if (index == group.operations.size()) {
        group.operations.emplace_back();
        group.operations.back().issue = issue;
        group.operations.back().pc = pc;
    }
    WgmmaOperation& op = group.operations[index];
    if (!sameOperands(op.issue, issue)) fail(Cause::WGMMA, pc, "operands differ between threads of the warpgroup");
    op.accumulators[i] = d;
    if (issue.registers) memcpy(op.a[i], issue.registers, sizeof op.a[i]);
    op.registers[i] = issue.registers;
    auto [saved, isNew] = group.saved[i].emplace(d, std::vector<float>(d, d + issue.n / 2));
    (void)saved;
    if (isNew) std::fill(d, d + issue.n / 2, NAN);
    if (++op.threads == WARPGROUP && !config.asyncLate) perform(me, group, op);
}

void wgmmaCommit() {
    Thread* me = current();
    Warpgroup& group = hopperOf(*me->block).warpgroups[me->number / WARPGROUP];
    group.groupEnds[me->number % WARPGROUP].push_back(group.issued[me->number % WARPGROUP]);
}

// ---- waiting

// Accumulators with no operation under way get their values back.
static void restore(Warpgroup& group) {
    for (unsigned t = 0; t < WARPGROUP; t++) {
        for (auto it = group.saved[t].begin(); it != group.saved[t].end();) {
            bool busy = false;
            for (const WgmmaOperation& op : group.operations) busy |= op.accumulators[t] == it->first;
            if (busy) {
                ++it;
                continue;
            }
            memcpy(it->first, it->second.data(), it->second.size() * sizeof(float));
            it = group.saved[t].erase(it);
        }
    }
}

void wgmmaWait(unsigned groups) {
    const void* pc = __builtin_return_address(0);
    Thread* me = current();
    Warpgroup& group = hopperOf(*me->block).warpgroups[me->number / WARPGROUP];
    if (group.waiting.empty()) group.waitGroups = groups;
    if (group.waitGroups != groups) {
        fail(Cause::WGMMA, pc, "wgmma_wait<%u> here, wgmma_wait<%u> by other threads of the warpgroup", groups,
             group.waitGroups);
    }
    group.waiting.push_back(me);
    group.fenced[me->number % WARPGROUP] = false;
    if (group.waiting.size() < WARPGROUP) {
        waitFor(Waiting::WGMMA, pc);
        return;
    }
    const auto& ends = group.groupEnds[me->number % WARPGROUP];
    const uint64_t upTo = ends.size() > groups ? ends[ends.size() - 1 - groups] : group.firstOperation;
    for (; group.firstOperation < upTo; group.firstOperation++) {
        WgmmaOperation& op = group.operations.front();
        if (op.threads != WARPGROUP) {
            fail(Cause::WGMMA, op.pc, "only %u of the 128 threads of the warpgroup issued it", op.threads);
        }
        if (op.issue.registers) checkRegisters(op);
        if (!op.performed) perform(me, group, op);
        group.operations.pop_front();
    }
    restore(group);
    for (Thread* t : group.waiting) {
        if (t != me) makeRunnable(t);
    }
    group.waiting.clear();
}

}  // namespace emulator
