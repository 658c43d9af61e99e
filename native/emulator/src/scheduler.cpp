// scheduler.cpp: which fiber runs next. Deterministic: the order is a setting, the random one has a seed.
#include "context_switch.h"
#include "hopper.h"

#include <cstdio>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {

Block::Block() = default;
Block::~Block() = default;

// ---- switching; the annotations tell AddressSanitizer that the stack changes

static void switchToWorker(Thread* me, bool forEver) {
    Block& block = *me->block;
    (void)forEver;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(forEver ? nullptr : &me->asanStack, block.workerStackBottom, block.workerStackBytes);
#endif
    emulator_switch(&me->stackPointer, block.workerStackPointer);
}

static void switchTo(Thread* me, Thread* next, bool forEver) {
    (void)forEver;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(forEver ? nullptr : &me->asanStack,
                                   next->block->stacks + (size_t)next->number * STACK_BYTES, STACK_BYTES);
    emulator_switch(&me->stackPointer, next->stackPointer);
    __sanitizer_finish_switch_fiber(me->asanStack, nullptr, nullptr);
#else
    emulator_switch(&me->stackPointer, next->stackPointer);
#endif
}

void abandon() {
    Thread* me = current();
    me->block->abandoned = true;
    switchToWorker(me, true);
    abort();  // nobody comes back
}

// ---- choosing

static uint32_t randomNumber(Block& block) {  // xorshift
    block.random ^= block.random << 13;
    block.random ^= block.random >> 7;
    block.random ^= block.random << 17;
    return uint32_t(block.random >> 32);
}

// A set bit of `bits`: the next one after `after` in the configured direction, cyclically; -1 starts over.
static unsigned choose(Block& block, uint32_t bits, int after) {
    switch (config.order) {
        case Order::RANDOM: {
            for (int skip = randomNumber(block) % __builtin_popcount(bits); skip > 0; skip--) bits &= bits - 1;
            return __builtin_ctz(bits);
        }
        case Order::REVERSE: {
            const uint32_t below = after > 0 ? bits & ((1u << after) - 1) : 0;
            return 31 - __builtin_clz(below ? below : bits);
        }
        default: {
            const uint32_t above = after < 0 ? bits : after < 31 ? bits & ~((2u << after) - 1) : 0;
            return __builtin_ctz(above ? above : bits);
        }
    }
}

static Thread* nextThread(Block& block, const Thread* me) {
    if (!block.runnableWarps) return nullptr;
    unsigned warp;
    if (me && config.order != Order::RANDOM && block.warps[me->warp].runnable) {
        warp = me->warp;  // a warp runs as far as it goes
    } else {
        warp = choose(block, block.runnableWarps, me ? (int)me->warp : -1);
    }
    const int after = me && me->warp == warp ? (int)me->lane : -1;
    return block.thread(warp * WARP + choose(block, block.warps[warp].runnable, after));
}

static void setRunnable(const Thread* thread, bool runnable) {
    Block& block = *thread->block;
    Warp& warp = block.warps[thread->warp];
    if (runnable) {
        warp.runnable |= 1u << thread->lane;
    } else {
        warp.runnable &= ~(1u << thread->lane);
    }
    if (warp.runnable) {
        block.runnableWarps |= 1u << thread->warp;
    } else {
        block.runnableWarps &= ~(1u << thread->warp);
    }
}

void makeRunnable(Thread* thread) {
    thread->block->waiting[thread->number] = Waiting::RUNNING;
    setRunnable(thread, true);
}

// ---- deadlock

static const char* nameOf(Waiting waiting) {
    switch (waiting) {
        case Waiting::RUNNING: return "running";
        case Waiting::WARP_OPERATION: return "in a warp operation";
        case Waiting::BARRIER: return "at a barrier";
        case Waiting::MBARRIER: return "at an mbarrier";
        case Waiting::WGMMA: return "at wgmma_wait";
        case Waiting::EXITED: return "exited";
    }
    return "?";
}

static const char* baseName(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// "threads 0 to 31, 64 to 95": those for which `belongs` holds.
template <class F>
static std::string threadRanges(unsigned threads, F belongs) {
    constexpr int SHOWN = 6;
    std::string text;
    int ranges = 0;
    for (unsigned i = 0, end; i < threads; i = end) {
        for (end = i + 1; end < threads && belongs(end) == belongs(i);) end++;
        if (!belongs(i)) continue;
        if (++ranges > SHOWN) return text + " and others";
        text += (ranges > 1 ? ", " : "") + std::to_string(i) + (end > i + 1 ? " to " + std::to_string(end - 1) : "");
    }
    return text;
}

// What every thread does, those in the same state at the same place together.
static std::string whoWaits(const Block& block) {
    std::string text;
    char part[300];
    const auto same = [&](unsigned i, unsigned j) {
        return block.waiting[i] == block.waiting[j] && block.waitingAt[i] == block.waitingAt[j];
    };
    for (unsigned i = 0; i < block.threads; i++) {
        bool told = false;
        for (unsigned j = 0; j < i && !told; j++) told = same(i, j);
        if (told) continue;
        text += (i ? ", " : "") + ("threads " + threadRanges(block.threads, [&](unsigned j) { return same(i, j); })) +
                ' ' + nameOf(block.waiting[i]);
        if (block.waitingAt[i]) text += " (" + placeOf(codeOffset(block.waitingAt[i])) + ")";
    }
    for (unsigned w = 0; w * WARP < block.threads; w++) {
        for (const Rendezvous& r : block.warps[w].pending) {
            if (!r.arrived) continue;
            snprintf(part, sizeof part, ", warp %u has lanes %08x of %08x at %s:%d", w, r.arrived, r.mask,
                     baseName(r.at.file), r.at.line);
            text += part;
        }
    }
    for (unsigned i = 0; i < NAMED_BARRIERS; i++) {
        const Barrier& b = block.barriers[i];
        if (!b.arrived) continue;
        snprintf(part, sizeof part, ", barrier %u has %u of %u threads", i, b.arrived, b.expected);
        text += part;
    }
    return text;
}

static std::string whatIsMissing(Block& block) {
    std::string text = whoWaits(block);
    for (const auto& [bar, m] : hopperOf(block).mbarriers) {
        if (m.pending == m.expected && !m.bytes) continue;
        char part[200];
        snprintf(
            part, sizeof part, ", the mbarrier at shared offset %ld has %u of %u arrivals and waits for %lld bytes",
            (long)bar - windowAddress(block, block.dynamic), m.expected - m.pending, m.expected, (long long)m.bytes);
        text += part;
    }
    return text;
}

// The next thread to run, after delivering copies when everyone waits.
static Thread* nextOrDeadlock(Thread* me) {
    Block& block = *me->block;
    Thread* next;
    while (!(next = nextThread(block, me))) {
        if (!deliverBulkCopy(block)) fail(Cause::DEADLOCK, nullptr, "%s", whatIsMissing(block).c_str());
    }
    return next;
}

// ---- what threads do

void waitFor(Waiting what, const void* pc) {
    Thread* me = current();
    me->block->waiting[me->number] = what;
    me->block->waitingAt[me->number] = pc;
    me->block->steps.fetch_add(1, std::memory_order_relaxed);
    setRunnable(me, false);
    Thread* next = nextOrDeadlock(me);
    if (next != me) switchTo(me, next, false);
}

void yield() {
    Thread* me = current();
    Thread* next = nextThread(*me->block, me);
    if (next == me || !next || next->warp == me->warp) {
        // Spinning on memory: another warp must have its turn too, which running a warp as far as it goes denies.
        const uint32_t others = me->block->runnableWarps & ~(1u << me->warp);
        if (others) {
            const unsigned warp = choose(*me->block, others, (int)me->warp);
            next = me->block->thread(warp * WARP + choose(*me->block, me->block->warps[warp].runnable, -1));
        }
    }
    if (next && next != me) switchTo(me, next, false);
}

void trap() {
    fail(Cause::TRAP, __builtin_return_address(0), "__trap()");
}

static void exitThread(Thread* me) {
    Block& block = *me->block;
    finishCopies(me);
    finishBulkStores(me);
    block.waiting[me->number] = Waiting::EXITED;
    block.waitingAt[me->number] = nullptr;
    setRunnable(me, false);
    block.alive--;
    block.steps.fetch_add(1, std::memory_order_relaxed);
    block.warps[me->warp].alive &= ~(1u << me->lane);
    if (!block.alive) {
        switchToWorker(me, true);
    } else {
        switchTo(me, nextOrDeadlock(me), true);
    }
}

static void threadMain() {
    Thread* me = current();
    Block& block = *me->block;
#ifdef __SANITIZE_ADDRESS__
    const void* from;
    size_t bytes;
    __sanitizer_finish_switch_fiber(nullptr, &from, &bytes);
    if (!block.workerStackBottom) {  // the block's first fiber comes from the worker's stack
        block.workerStackBottom = from;
        block.workerStackBytes = bytes;
    }
#endif
    block.launch->kernel->call(block.launch->parameters);
    exitThread(me);
    abort();
}

void startThread(Block& block, unsigned number) {
    Thread* t = block.thread(number);
    const dim3 shape = block.launch->block;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(block.stacks + number * STACK_BYTES + 4096, STACK_BYTES - 4096);
#endif
    t->threadIndex = {number % shape.x, number / shape.x % shape.y, number / shape.x / shape.y};
    t->blockIndex = block.index;
    t->blockShape = shape;
    t->gridShape = block.launch->grid;
    t->number = number;
    t->lane = number % WARP;
    t->warp = number / WARP;
    t->block = &block;
    t->asanStack = nullptr;
    t->stackPointer = newFiber(t, threadMain);
    block.warps[t->warp].alive |= 1u << t->lane;
    block.waiting[number] = Waiting::RUNNING;
    setRunnable(t, true);
}

void runFibers(Block& block) {
    Thread* first = nextThread(block, nullptr);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&block.workerAsanStack, block.stacks + (size_t)first->number * STACK_BYTES,
                                   STACK_BYTES);
    emulator_switch(&block.workerStackPointer, first->stackPointer);
    __sanitizer_finish_switch_fiber(block.workerAsanStack, nullptr, nullptr);
#else
    emulator_switch(&block.workerStackPointer, first->stackPointer);
#endif
}

}  // namespace emulator
