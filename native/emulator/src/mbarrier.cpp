// mbarrier.cpp: barriers in shared memory that count arrivals and bytes.
#include "hopper.h"

namespace emulator {

Hopper& hopperOf(Block& block) {
    if (!block.hopper) {
        block.hopper = std::make_unique<Hopper>();
        block.hopper->stores.resize(block.threads);
    }
    return *block.hopper;
}

static uint64_t tokenOf(uint32_t bar) {
    return 0xba221e00ull << 32 | bar;
}

// Offset into dynamic shared memory, as the kernel counts.
static long offsetOf(const Block& block, uint32_t bar) {
    return (long)bar - windowAddress(block, block.dynamic);
}

void mbarInit(uint32_t bar, uint32_t arrivals) {
    const void* pc = __builtin_return_address(0);
    Thread* me = current();
    Block& block = *me->block;
    Hopper& hopper = hopperOf(block);
    if (bar % 8) fail(Cause::MISALIGNED, pc, "mbarrier at shared address %u", bar);
    if (!arrivals || arrivals >= 1u << 20) fail(Cause::MBARRIER, pc, "mbarrier for %u arrivals", arrivals);
    unsigned char* p = sharedMemory(me, bar, 8, "mbarrier.init", pc);
    checkAccess(me, {p, 8, true, "mbarrier.init", pc});
    const uint64_t token = tokenOf(bar);
    memcpy(p, &token, sizeof token);
    const auto known = hopper.mbarriers.find(bar);
    const unsigned column = known == hopper.mbarriers.end() ? newMbarrierColumn(block) : known->second.column;
    Mbarrier& m = hopper.mbarriers[bar];
    m = {};
    m.expected = m.pending = arrivals;
    m.initialiser = me;
    m.column = column;
}

void fenceMbarInit() {
    Thread* me = current();
    for (auto& [bar, m] : hopperOf(*me->block).mbarriers) {
        if (m.initialiser == me) m.fenced = true;
    }
}

void fenceProxyAsync() {
    fenceMbarInit();
    checkProxyFence(current());
}

Mbarrier& findMbarrier(Thread* thread, uint32_t bar, const void* pc) {
    Block& block = *thread->block;
    Hopper& hopper = hopperOf(block);
    const auto it = hopper.mbarriers.find(bar);
    if (it == hopper.mbarriers.end()) {
        fail(Cause::MBARRIER, pc, "none was initialised at shared offset %ld", offsetOf(block, bar));
    }
    unsigned char* p = sharedMemory(thread, bar, 8, "mbarrier", pc);
    checkAccess(thread, {p, 8, true, "mbarrier", pc, true});
    uint64_t token;
    memcpy(&token, p, sizeof token);
    if (token != tokenOf(bar)) {
        fail(Cause::MBARRIER, pc, "the one at shared offset %ld was overwritten", offsetOf(block, bar));
    }
    return it->second;
}

static void completeIfDone(Block& block, uint32_t bar, Mbarrier& m) {
    if (m.pending || m.bytes) return;
    m.phase++;
    m.pending = m.expected;
    if (CHECKING) {
        if (m.clock.size() <= m.column) m.clock.resize(m.column + 1);
        m.clock[m.column] = m.phase;
        m.completed = m.clock;
    }
    auto& waiters = block.hopper->waiters;
    for (size_t i = 0; i < waiters.size();) {
        if (waiters[i].second != bar) {
            i++;
            continue;
        }
        makeRunnable(waiters[i].first);
        waiters[i] = waiters.back();
        waiters.pop_back();
    }
}

void deliverBytes(Block& block, uint32_t bar, uint32_t bytes) {
    Mbarrier& m = block.hopper->mbarriers.at(bar);
    m.bytes -= bytes;
    completeIfDone(block, bar, m);
}

void mbarArrive(uint32_t bar, uint32_t expectedBytes) {
    const void* pc = __builtin_return_address(0);
    Thread* me = current();
    Mbarrier& m = findMbarrier(me, bar, pc);
    if (!m.pending) {
        fail(Cause::MBARRIER, pc, "more arrivals than the %u that the one at shared offset %ld expects", m.expected,
             offsetOf(*me->block, bar));
    }
    checkRelease(me, m.clock);
    m.bytes += expectedBytes;
    m.pending--;
    completeIfDone(*me->block, bar, m);
}

void mbarWait(uint32_t bar, uint32_t parity) {
    const void* pc = __builtin_return_address(0);
    Thread* me = current();
    if (parity > 1) fail(Cause::MBARRIER, pc, "parity %u", parity);
    while ((findMbarrier(me, bar, pc).phase & 1) == parity) {
        hopperOf(*me->block).waiters.push_back({me, bar});
        waitFor(Waiting::MBARRIER, pc);
    }
    checkAcquire(me, findMbarrier(me, bar, pc).completed);
}

void finishHopper(Block& block) {
    if (!block.hopper) return;
    if (!block.abandoned) {
        const char* kernel = block.launch->kernel->name;
        for (const auto& [bar, m] : block.hopper->mbarriers) {
            if (m.pending == m.expected && !m.bytes) continue;
            reportBlock(Cause::MBARRIER,
                        "block %u of %s ends with the one at shared offset %ld within a phase: %u of %u arrivals, "
                        "%lld bytes outstanding",
                        block.number, kernel, offsetOf(block, bar), m.expected - m.pending, m.expected,
                        (long long)m.bytes);
        }
        if (!block.hopper->loads.empty()) {
            reportBlock(Cause::ASYNC_COPY, "block %u of %s ends with bulk loads under way, issued at %s", block.number,
                        kernel, placeOf(codeOffset(block.hopper->loads[0].pc)).c_str());
        }
        for (const Warpgroup& g : block.hopper->warpgroups) {
            if (g.operations.empty()) continue;
            reportBlock(Cause::WGMMA, "block %u of %s ends with operations never waited for, issued at %s",
                        block.number, kernel, placeOf(codeOffset(g.operations[0].pc)).c_str());
        }
    }
    block.hopper.reset();
}

}  // namespace emulator
