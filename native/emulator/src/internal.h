// internal.h: blocks and what their threads wait for; shared by the parts of the runtime.
#pragma once
#include "../include/emulator.h"
#include "report.h"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace emulator {

constexpr unsigned MAX_THREADS = 1024, WARP = 32, MAX_WARPS = MAX_THREADS / WARP, NAMED_BARRIERS = 16;
// Addresses in the shared window: dynamic memory from 1024, as on a device; static memory far above it.
constexpr uint32_t DYNAMIC_WINDOW = 1024, STATIC_WINDOW = 0x40000000;
constexpr unsigned DYNAMIC_PADDING = 1024;  // see dynamicShared

enum class Waiting : uint8_t { RUNNING, WARP_OPERATION, BARRIER, MBARRIER, WGMMA, EXITED };

enum class WarpOperation { SYNC, SHUFFLE, VOTE, LDMATRIX, STMATRIX, MMA };

// Lanes of one mask gathering for an operation; the last to arrive performs it for all.
struct Rendezvous {
    uint32_t mask = 0, arrived = 0;
    WarpOperation operation;
    Site at;
    void* arguments[WARP];
};

struct Warp {
    uint32_t runnable = 0, alive = 0;
    // Masks that are pending at the same time are disjoint, so a mask's lowest lane identifies it.
    Rendezvous pending[WARP];
};

using Clock = std::vector<uint32_t>;  // one entry per column: see knowledge.h

struct Barrier {
    unsigned arrived = 0, expected = 0, sum = 0, result = 0;
    std::vector<Thread*> waiting;
    Site at;
    Clock clock;
};

struct AsyncCopy {  // one cp.async
    void* to;
    const void* from;
    uint32_t bytes, readBytes;
};
struct AsyncCopies {  // of one thread
    std::vector<AsyncCopy> open;
    std::vector<std::vector<AsyncCopy>> groups;
    uint32_t completedGroups = 0;
};

struct Hopper;  // mbarriers, bulk copies and wgmma of a block: hopper.h

struct Launch {
    const KernelEntry* kernel;
    dim3 grid, block;
    unsigned sharedBytes;
    void** parameters;
    uint32_t number;
};

struct Block {
    const Launch* launch = nullptr;
    unsigned number = 0, threads = 0, alive = 0;
    uint3 index;
    bool abandoned = false;
    std::atomic<bool> running{false};
    std::atomic<uint64_t> steps{0};  // a thread blocked, exited or began

    unsigned char* stacks = nullptr;  // thread i has bytes [i, i + 1) * STACK_BYTES
    Warp warps[MAX_WARPS];
    uint32_t runnableWarps = 0;
    std::vector<Waiting> waiting;        // by thread
    std::vector<const void*> waitingAt;  // by thread
    uint64_t random = 0;

    Barrier barriers[NAMED_BARRIERS];
    std::vector<AsyncCopies> copies;  // by thread
    std::unique_ptr<Hopper> hopper;   // made when first needed

    unsigned char *dynamicBase = nullptr, *dynamic = nullptr;  // allocated, and as the kernel sees it
    unsigned dynamicBytes = 0, dynamicAlignment = 0;
    unsigned char *staticBegin = nullptr, *staticEnd = nullptr;

    void* workerStackPointer = nullptr;
    void* workerAsanStack = nullptr;
    const void* workerStackBottom = nullptr;
    size_t workerStackBytes = 0;

    Block();
    ~Block();
    Thread* thread(unsigned i) const {
        return threadOfStack((uintptr_t)stacks + i * STACK_BYTES);
    }
    bool isDynamic(const void* p, size_t bytes) const {
        return p >= dynamic && (const unsigned char*)p + bytes <= dynamic + dynamicBytes;
    }
    bool isStatic(const void* p, size_t bytes) const {
        return p >= staticBegin && (const unsigned char*)p + bytes <= staticEnd;
    }
};

// ---- settings (config.cpp)

enum class Order { FORWARD, REVERSE, RANDOM };
struct Config {
    Order order = Order::FORWARD;
    uint64_t seed = 1;
    bool asyncLate = true;  // asynchronous copies happen when waited for, else at once
    int workers = 1;
    unsigned timeoutSeconds = 30;
    int smVersion = 90;
    size_t memoryBytes = (size_t)8 << 30;
    int devices = 1;
    int multiprocessors = 4;  // few, so that persistent blocks take several turns even at test sizes
    int driverVersion = 13000;  // of CUDA: 13.0
};
constexpr int MAX_DEVICES = 8;
extern Config config;
// False for a key or value that there is not.
bool configure(const char* key, const char* value);

// ---- scheduling (scheduler.cpp)

void startThread(Block& block, unsigned number);
void runFibers(Block& block);
// Lets other threads run until this one is made runnable; `pc` is where it stands.
void waitFor(Waiting what, const void* pc);
void makeRunnable(Thread* thread);
[[noreturn]] void abandon();

// ---- shared memory (shared.cpp)

uint32_t windowAddress(const Block& block, const void* p);
// Memory of `bytes` at a shared-window address; fails the launch when it is not all inside.
unsigned char* sharedMemory(Thread* thread, uint32_t address, uint32_t bytes, const char* what, const void* pc);

// ---- device memory (memory.cpp)

struct Allocation {
    unsigned char* begin;
    size_t bytes, mappedBytes;
    int device;
    void* shadow = nullptr;  // race.cpp
    size_t shadowBytes = 0;
};
void* allocateDevice(size_t bytes, int device);  // null when there is none left
bool freeDevice(void* p);
Allocation* findAllocation(const void* p, size_t bytes);  // that contains all of it
Allocation* allocationBelow(const void* p);               // the last that begins at or before p
size_t allocatedBytes(int device);

// ---- launches (launch.cpp)

const KernelEntry* findKernel(const char* name);
// Runs a kernel to its end on the emulator's own thread. Returns a CUresult.
int runLaunch(const Launch& launch);

// ---- asynchronous work of a block

void finishCopies(Thread* thread);   // a thread exits
bool deliverBulkCopy(Block& block);  // performs one queued copy; false when there is none
void finishHopper(Block& block);     // a block ends

}  // namespace emulator
