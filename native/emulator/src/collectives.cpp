// collectives.cpp: operations in which the lanes of a warp or the threads of a block meet.
#include "collectives.h"

#include "check.h"

namespace emulator {

static const char* nameOf(WarpOperation operation) {
    switch (operation) {
        case WarpOperation::SYNC: return "__syncwarp";
        case WarpOperation::SHUFFLE: return "shuffle";
        case WarpOperation::VOTE: return "vote";
        case WarpOperation::LDMATRIX: return "ldmatrix";
        case WarpOperation::STMATRIX: return "stmatrix";
        case WarpOperation::MMA: return "mma";
    }
    return "?";
}

static const char* baseName(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool samePlace(const Site& a, const Site& b) {
    return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file));
}

void warpOperation(WarpOperation operation, uint32_t mask, void* arguments, void (*perform)(const Gathered&), Site at,
                   const void* pc) {
    Thread* me = current();
    Block& block = *me->block;
    Warp& warp = block.warps[me->warp];
    if (!(mask >> me->lane & 1)) {
        fail(Cause::DIVERGENCE, pc, "%s by lane %u, which its mask %08x leaves out", nameOf(operation), me->lane, mask);
    }
    if (mask & ~warp.alive) {
        fail(Cause::DIVERGENCE, pc, "the mask %08x of a %s names lanes that have exited or do not exist (alive: %08x)",
             mask, nameOf(operation), warp.alive);
    }
    Rendezvous& r = warp.pending[__builtin_ctz(mask)];
    if (!r.arrived) {
        r.mask = mask;
        r.operation = operation;
        r.at = at;
    } else if (r.mask != mask || r.operation != operation || !samePlace(r.at, at)) {
        fail(Cause::DIVERGENCE, pc,
             "lane %u is at a %s with mask %08x, others of warp %u are at a %s with mask %08x at %s:%d", me->lane,
             nameOf(operation), mask, me->warp, nameOf(r.operation), r.mask, baseName(r.at.file), r.at.line);
    }
    r.arguments[me->lane] = arguments;
    r.arrived |= 1u << me->lane;
    if (r.arrived != mask) {
        waitFor(Waiting::WARP_OPERATION, pc);
        return;
    }
    r.arrived = 0;
    if (perform) {
        Gathered all{mask, {}, pc};
        memcpy(all.arguments, r.arguments, sizeof all.arguments);
        perform(all);
    }
    if (operation == WarpOperation::SYNC) checkJoinWarp(block, me->warp, mask);
    for (uint32_t m = mask & ~(1u << me->lane); m; m &= m - 1) {
        makeRunnable(block.thread(me->warp * WARP + __builtin_ctz(m)));
    }
}

void syncWarp(uint32_t mask, Site at) {
    warpOperation(WarpOperation::SYNC, mask, nullptr, nullptr, at, __builtin_return_address(0));
}

// ---- shuffles

struct Shuffle {
    uint64_t value, result;
    int source, width, kind;
};

// The lane whose value a shuffle gives to `lane`, as in the CUDA guide.
static int sourceLane(const Shuffle& s, int lane) {
    const int first = lane & ~(s.width - 1), last = first + s.width - 1;
    switch (s.kind) {
        case EMULATOR_SHUFFLE_INDEX: return first | (s.source & (s.width - 1));
        case EMULATOR_SHUFFLE_UP: return lane - s.source < first ? lane : lane - s.source;
        case EMULATOR_SHUFFLE_DOWN: return lane + s.source > last ? lane : lane + s.source;
        default: return (lane ^ s.source) > last ? lane : lane ^ s.source;
    }
}

static void performShuffle(const Gathered& all) {
    for (int lane = 0; lane < (int)WARP; lane++) {
        if (!(all.mask >> lane & 1)) continue;
        Shuffle& s = *(Shuffle*)all.arguments[lane];
        const int source = sourceLane(s, lane);
        s.result = ~0ull;
        if (all.mask >> source & 1) {
            s.result = ((Shuffle*)all.arguments[source])->value;
        } else if (!alreadyReported(Cause::SHUFFLE, all.pc)) {
            report(Cause::SHUFFLE, all.pc, "lane %d reads lane %d, which is not in the mask %08x", lane, source,
                   all.mask);
        }
    }
}

uint64_t shuffle(uint32_t mask, uint64_t value, int source, int width, int kind, Site at) {
    Shuffle s{value, 0, source, width, kind};
    warpOperation(WarpOperation::SHUFFLE, mask, &s, performShuffle, at, __builtin_return_address(0));
    return s.result;
}

// ---- votes

struct Vote {
    bool predicate;
    uint32_t result;
};

static void performVote(const Gathered& all) {
    uint32_t result = 0;
    for (unsigned lane = 0; lane < WARP; lane++) {
        if (all.mask >> lane & 1 && ((Vote*)all.arguments[lane])->predicate) result |= 1u << lane;
    }
    for (unsigned lane = 0; lane < WARP; lane++) {
        if (all.mask >> lane & 1) ((Vote*)all.arguments[lane])->result = result;
    }
}

uint32_t ballot(uint32_t mask, bool predicate, Site at) {
    Vote v{predicate, 0};
    warpOperation(WarpOperation::VOTE, mask, &v, performVote, at, __builtin_return_address(0));
    return v.result;
}

// ---- block barriers

// What the threads of a complete barrier did before is known to those that wait.
static void passKnowledge(Block& block, Barrier& b) {
    if (b.waiting.size() == block.threads) {
        checkJoinBlock(block);
        return;
    }
    for (Thread* t : b.waiting) checkRelease(t, b.clock);
    for (Thread* t : b.waiting) checkAcquire(t, b.clock);
}

static unsigned meet(int id, unsigned threads, unsigned value, bool wait, Site at, const void* pc) {
    Thread* me = current();
    Block& block = *me->block;
    if (id < 0 || id >= (int)NAMED_BARRIERS) fail(Cause::BARRIER, pc, "there is no barrier %d", id);
    if (threads % WARP || threads > MAX_THREADS) {
        fail(Cause::BARRIER, pc, "barrier %d for %u threads, which is no multiple of 32", id, threads);
    }
    Barrier& b = block.barriers[id];
    const unsigned expected = threads ? threads : block.threads;
    if (!b.arrived) {
        b.at = at;
        b.sum = 0;
        b.expected = expected;
        b.waiting.clear();
        b.clock.clear();
    } else if (b.expected != expected) {
        fail(Cause::BARRIER, pc, "barrier %d for %u threads here, for %u at %s:%d", id, expected, b.expected,
             baseName(b.at.file), b.at.line);
    } else if (id == 0 && threads == 0 && !samePlace(b.at, at)) {
        fail(Cause::DIVERGENCE, pc, "__syncthreads in divergent code: other threads are at %s:%d", baseName(b.at.file),
             b.at.line);
    }
    b.sum += value;
    b.arrived++;
    if (wait) {
        b.waiting.push_back(me);
    } else {
        checkRelease(me, b.clock);
    }
    if (b.arrived == expected) {
        b.arrived = 0;
        b.result = b.sum;
        passKnowledge(block, b);
        for (Thread* t : b.waiting) {
            if (t != me) makeRunnable(t);
        }
    } else if (wait) {
        waitFor(Waiting::BARRIER, pc);
    }
    return b.result;
}

unsigned barrierSync(int id, unsigned threads, unsigned value, Site at) {
    return meet(id, threads, value, true, at, __builtin_return_address(0));
}

void barrierArrive(int id, unsigned threads, Site at) {
    meet(id, threads, 0, false, at, __builtin_return_address(0));
}

// ---- atomics

uint64_t atomicRead(const void* p, int bytes) {
    const void* pc = __builtin_return_address(0);
    if ((uintptr_t)p % bytes) fail(Cause::MISALIGNED, pc, "atomic operation of %d bytes at %p", bytes, p);
    checkAccess(current(), {p, (size_t)bytes, true, "atomic", pc, true});
    return bytes == 4 ? __atomic_load_n((const uint32_t*)p, __ATOMIC_RELAXED)
                      : __atomic_load_n((const uint64_t*)p, __ATOMIC_RELAXED);
}

bool atomicReplace(void* p, int bytes, uint64_t* expected, uint64_t value) {
    if (bytes == 8) {
        return __atomic_compare_exchange_n((uint64_t*)p, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    uint32_t before = (uint32_t)*expected;
    const bool done =
        __atomic_compare_exchange_n((uint32_t*)p, &before, (uint32_t)value, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    *expected = before;
    return done;
}

void fence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

}  // namespace emulator
