// check.h: what the checking build watches. In the other builds all of it is nothing.
#pragma once
#include "internal.h"

namespace emulator {

// Who touches memory: a thread itself, or an asynchronous copy on its behalf with a clock column of its own.
struct Access {
    const void* address;
    size_t bytes;
    bool write;
    const char* what;  // "", or the instruction: "ldmatrix"
    const void* pc;
    bool atomic = false;
    unsigned column = ~0u;  // default: the thread's
    uint32_t clock = 0;     // of that column; default: now
};

#ifdef EMULATOR_CHECK
constexpr bool CHECKING = true;
void checkBlockBegin(Block& block);
void checkBlockEnd();
void watchAccesses(Block* block);
// The last place that touched memory, null in other builds.
const void* lastAccessPlace();
void checkAccess(Thread* thread, const Access& access);
// Happens-before: what `thread` did is known to whoever acquires `clock` later.
void checkRelease(Thread* thread, Clock& clock);
void checkAcquire(Thread* thread, const Clock& clock);
void checkJoinWarp(Block& block, unsigned warp, uint32_t mask);
void checkJoinBlock(Block& block);  // every thread of the block
void checkCopyIssued(Thread* thread, const AsyncCopy& copy, const void* pc);
void checkCopiesDone(Thread* thread);
void checkProxyFence(Thread* thread);
// A read of shared memory by the copy engine or wgmma: were the ordinary writes fenced?
void checkProxyRead(Thread* thread, const void* p, size_t bytes, const char* what, const void* pc);
void checkHostWrite(void* p, size_t bytes);
void checkUndefine(void* p, size_t bytes);
// A copy by the driver: what was uninitialised stays so.
void checkCopied(void* to, const void* from, size_t bytes);
void checkFree(Allocation& allocation);
// Constants and other data of this library, which kernels may read.
bool isLibraryMemory(const void* p, size_t bytes);
#else
constexpr bool CHECKING = false;
static inline void checkBlockBegin(Block&) {}
static inline void checkBlockEnd() {}
static inline void watchAccesses(Block*) {}
static inline const void* lastAccessPlace() {
    return nullptr;
}
static inline void checkAccess(Thread*, const Access&) {}
static inline void checkRelease(Thread*, Clock&) {}
static inline void checkAcquire(Thread*, const Clock&) {}
static inline void checkJoinWarp(Block&, unsigned, uint32_t) {}
static inline void checkJoinBlock(Block&) {}
static inline void checkCopyIssued(Thread*, const AsyncCopy&, const void*) {}
static inline void checkCopiesDone(Thread*) {}
static inline void checkProxyFence(Thread*) {}
static inline void checkProxyRead(Thread*, const void*, size_t, const char*, const void*) {}
static inline void checkHostWrite(void*, size_t) {}
static inline void checkUndefine(void*, size_t) {}
static inline void checkCopied(void*, const void*, size_t) {}
static inline void checkFree(Allocation&) {}
#endif

}  // namespace emulator
