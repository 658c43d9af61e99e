// async_copy.cpp: cp.async. A copy is queued by its thread and happens as late as allowed, when the thread waits for
// its group (or, by setting, at once): reading too early shows in one, overwriting too early in the other.
#include "check.h"

namespace emulator {

static void perform(const AsyncCopy& copy) {
    memcpy(copy.to, copy.from, copy.readBytes);
    memset((char*)copy.to + copy.readBytes, 0, copy.bytes - copy.readBytes);
}

void cpAsync(uint32_t shared, const void* global, uint32_t bytes, uint32_t readBytes) {
    const void* pc = __builtin_return_address(0);
    Thread* me = current();
    if (shared % bytes || (uintptr_t)global % bytes) {
        fail(Cause::MISALIGNED, pc, "cp.async of %u bytes from %p to shared address %u", bytes, global, shared);
    }
    if (readBytes > bytes) fail(Cause::ASYNC_COPY, pc, "cp.async reads %u of %u bytes", readBytes, bytes);
    if (readBytes && !findAllocation(global, readBytes)) {
        fail(Cause::OUT_OF_BOUNDS, pc, "cp.async reads %u bytes at %p, which is in no allocation", readBytes, global);
    }
    const AsyncCopy copy{sharedMemory(me, shared, bytes, "cp.async", pc), global, bytes, readBytes};
    checkCopyIssued(me, copy, pc);
    if (!config.asyncLate) perform(copy);
    me->block->copies[me->number].open.push_back(copy);
}

void cpAsyncCommit() {
    Thread* me = current();
    AsyncCopies& copies = me->block->copies[me->number];
    copies.groups.push_back(std::move(copies.open));
    copies.open.clear();
}

void cpAsyncWait(unsigned groups) {
    Thread* me = current();
    AsyncCopies& copies = me->block->copies[me->number];
    while (copies.groups.size() > groups) {
        if (config.asyncLate) {
            for (const AsyncCopy& copy : copies.groups.front()) perform(copy);
        }
        copies.groups.erase(copies.groups.begin());
        copies.completedGroups++;
        checkCopiesDone(me);
    }
}

void finishCopies(Thread* thread) {
    AsyncCopies& copies = thread->block->copies[thread->number];
    bool pending = !copies.open.empty();
    for (const auto& group : copies.groups) pending |= !group.empty();
    if (pending && !alreadyReported(Cause::ASYNC_COPY, nullptr)) {
        report(Cause::ASYNC_COPY, nullptr, "the thread exits with cp.async copies that it never waited for");
    }
    copies = {};
}

}  // namespace emulator
