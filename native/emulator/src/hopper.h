// hopper.h: the state of a block's asynchronous hardware: mbarriers, bulk copies, wgmma.
#pragma once
#include "../include/emulator_ptx.h"
#include "check.h"

#include <deque>

namespace emulator {

// ---- mbarriers (mbarrier.cpp). The state is kept here by shared address; the 8 bytes in shared memory hold a token,
// so that overwriting them is noticed.
struct Mbarrier {
    uint32_t expected, pending, phase = 0;
    int64_t bytes = 0;  // announced and not delivered
    Thread* initialiser;
    bool fenced = false;     // made visible to the copy engine
    Clock clock, completed;  // of arrivals so far, and as of the last completed phase
    unsigned column = 0;     // of the copies that complete on it
};

// ---- bulk copies (bulk_copy.cpp)

// What is in a TensorMap. Rank 0 stands for a copy of contiguous bytes.
struct EncodedMap {
    uint32_t magic;
    uint8_t rank, type, elementBytes, swizzle;
    uint64_t address;
    uint64_t strides[4];  // bytes, of dimensions 1 and up
    uint32_t sizes[5], box[5];
};
static_assert(sizeof(EncodedMap) <= 128);
constexpr uint32_t MAP_MAGIC = 0x7e5a11ed;

struct BulkCopy {
    EncodedMap map;
    Thread* thread;
    uint32_t shared, bar;
    int coordinates[5];
    uint64_t global;  // rank 0
    uint32_t bytes;   // rank 0
    bool add;
    const void* pc;
};
struct BulkStores {  // of one thread, in groups
    std::vector<BulkCopy> open;
    std::vector<std::vector<BulkCopy>> groups;
    uint32_t completedGroups = 0;
};

// ---- wgmma (wgmma.cpp): threads only leave their operands; the last one to wait computes.
constexpr unsigned WARPGROUP = 128;

struct WgmmaOperation {
    WgmmaIssue issue;          // of the first thread; `registers` is not used
    uint32_t a[WARPGROUP][4];  // when a is in registers: as it was issued, and where it is
    const uint32_t* registers[WARPGROUP];
    float* accumulators[WARPGROUP];
    unsigned threads = 0;    // that issued it so far
    bool performed = false;  // async=early
    const void* pc;
};
struct Warpgroup {
    std::deque<WgmmaOperation> operations;
    uint64_t firstOperation = 0;  // number of operations.front()
    uint64_t issued[WARPGROUP] = {};
    std::vector<uint64_t> groupEnds[WARPGROUP];  // operations issued before each commit
    // Values of the accumulators under way; the thread's own hold NaN meanwhile.
    std::map<float*, std::vector<float>> saved[WARPGROUP];
    std::vector<Thread*> waiting;
    unsigned waitGroups = 0;
    bool fenced[WARPGROUP] = {};
};

struct Hopper {
    std::map<uint32_t, Mbarrier> mbarriers;
    std::vector<std::pair<Thread*, uint32_t>> waiters;
    std::deque<BulkCopy> loads;
    std::vector<BulkStores> stores;  // by thread
    Warpgroup warpgroups[MAX_THREADS / WARPGROUP];
};

Hopper& hopperOf(Block& block);

// The byte that a swizzle moves `address` to: chunks of 16 bytes are permuted within 8 rows.
uint32_t swizzled(uint32_t address, unsigned swizzleBytes);

// mbarrier.cpp, for bulk copies
Mbarrier& findMbarrier(Thread* thread, uint32_t bar, const void* pc);
void deliverBytes(Block& block, uint32_t bar, uint32_t bytes);
// bulk_copy.cpp, for a thread that exits
void finishBulkStores(Thread* thread);

#ifdef EMULATOR_CHECK
unsigned bulkStoreColumn(Thread* thread);
void checkBulkStoresDone(Thread* thread, uint32_t groups);
unsigned newMbarrierColumn(Block& block);
#else
static inline unsigned bulkStoreColumn(Thread*) {
    return 0;
}
static inline void checkBulkStoresDone(Thread*, uint32_t) {}
static inline unsigned newMbarrierColumn(Block&) {
    return 0;
}
#endif

}  // namespace emulator
