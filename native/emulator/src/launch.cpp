// launch.cpp: the registry of kernels, the threads that run blocks, and one launch from beginning to end.
#include "check.h"
#include "watchdog.h"

#include <link.h>
#include <sys/mman.h>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

// ---- registry

static std::map<std::string, KernelEntry>& kernels() {
    static auto* map = new std::map<std::string, KernelEntry>;
    return *map;
}

void registerKernel(const KernelEntry& kernel) {
    kernels()[kernel.name] = kernel;
}

const KernelEntry* findKernel(const char* name) {
    const auto it = kernels().find(name);
    return it == kernels().end() ? nullptr : &it->second;
}

// ---- static shared memory: this library's thread-local storage in the worker's thread

static thread_local char anchor;

static int findThreadLocals(dl_phdr_info* info, size_t, void* data) {
    if (!info->dlpi_tls_data) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
        auto* begin = (unsigned char*)info->dlpi_tls_data;
        unsigned char* end = begin + info->dlpi_phdr[i].p_memsz;
        if ((unsigned char*)&anchor < begin || (unsigned char*)&anchor >= end) continue;
        Block& block = *(Block*)data;
        block.staticBegin = begin;
        block.staticEnd = end;
        return 1;
    }
    return 0;
}

// ---- a worker: an OS thread with the stacks of one block. It is kept from launch to launch, because making the stacks
// costs a millisecond. Kernels never run on the caller's stack, which may be a Java thread's.

class Worker {
public:
    Worker() {
        std::thread([this] { run(); }).detach();
    }

    // Starts running blocks of the launch, whose numbers come from `next`.
    void start(const Launch& launch, std::atomic<unsigned>& next) {
        std::lock_guard<std::mutex> guard(mutex);
        work = {&launch, &next};
        changed.notify_all();
    }

    void join() {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return !work.launch; });
    }

private:
    struct Work {
        const Launch* launch;
        std::atomic<unsigned>* next;
    };
    std::mutex mutex;
    std::condition_variable changed;
    Work work{};
    Block block;
    size_t dynamicCapacity = 0;

    [[noreturn]] void run() {
        reserveStacks();
        anchor = 1;  // makes the thread-local storage exist
        dl_iterate_phdr(findThreadLocals, &block);
        watchAccesses(&block);
        watchWorker(&block);
        while (true) {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [this] { return work.launch != nullptr; });
            lock.unlock();
            block.running = true;
            runBlocks();
            block.running = false;
            lock.lock();
            work.launch = nullptr;
            changed.notify_all();
        }
    }

    void reserveStacks() {
        const size_t bytes = (MAX_THREADS + 1) * STACK_BYTES;
        const auto raw =
            (uintptr_t)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        block.stacks = (unsigned char*)((raw + STACK_BYTES - 1) / STACK_BYTES * STACK_BYTES);
        for (unsigned i = 0; i < MAX_THREADS; i++) mprotect(block.stacks + i * STACK_BYTES, 4096, PROT_NONE);
    }

    void runBlocks() {
        const Launch& launch = *work.launch;
        const unsigned blocks = launch.grid.x * launch.grid.y * launch.grid.z;
        reserveDynamic(launch.sharedBytes);
        block.launch = &launch;
        block.abandoned = false;
        for (unsigned i; !block.abandoned && (i = (*work.next)++) < blocks;) {
            runBlock(config.order == Order::REVERSE ? blocks - 1 - i : i);
        }
        if (block.abandoned) *work.next = blocks;  // the other workers stop too
    }

    void reserveDynamic(unsigned bytes) {
        if (dynamicCapacity < bytes || !block.dynamicBase) {
            free(block.dynamicBase);
            dynamicCapacity = ((size_t)bytes + 4095) / 4096 * 4096;
            block.dynamicBase = (unsigned char*)aligned_alloc(4096, dynamicCapacity + 4096);  // with the padding
        }
        block.dynamicBytes = bytes;
    }

    void runBlock(unsigned number) {
        const Launch& launch = *block.launch;
        block.number = number;
        block.index = {number % launch.grid.x, number / launch.grid.x % launch.grid.y,
                       number / launch.grid.x / launch.grid.y};
        block.threads = block.alive = launch.block.x * launch.block.y * launch.block.z;
        block.random = config.seed * 0x9E3779B97F4A7C15ull + number * 0xBF58476D1CE4E5B9ull + 1;
        block.waiting.assign(block.threads, Waiting::RUNNING);
        block.waitingAt.assign(block.threads, nullptr);
        block.copies.assign(block.threads, {});
        block.runnableWarps = 0;
        block.workerStackBottom = nullptr;
        for (Barrier& b : block.barriers) b.arrived = 0;
        for (unsigned w = 0; w * WARP < block.threads; w++) {
            Warp& warp = block.warps[w];
            warp.runnable = warp.alive = 0;
            for (Rendezvous& r : warp.pending) r.arrived = 0;
        }
        poisonShared();
        for (unsigned i = 0; i < block.threads; i++) startThread(block, i);
        checkBlockBegin(block);
        runFibers(block);
        checkBlockEnd();
        finishHopper(block);
    }

    // NaN in every float format.
    void poisonShared() {
        block.dynamic = block.dynamicBase;
        block.dynamicAlignment = 0;
#ifdef __SANITIZE_ADDRESS__
        __asan_unpoison_memory_region(block.dynamicBase, dynamicCapacity + 4096);
#endif
        if (block.dynamicBytes) memset(block.dynamicBase, 0xff, block.dynamicBytes + DYNAMIC_PADDING);
        memset(block.staticBegin, 0xff, block.staticEnd - block.staticBegin);
    }
};

int runLaunch(const Launch& launch) {
    static std::mutex launching;
    static auto* const workers = new std::vector<std::unique_ptr<Worker>>;  // their threads outlive main
    std::lock_guard<std::mutex> guard(launching);
    const size_t count = CHECKING ? 1 : std::max(1, config.workers);
    while (workers->size() < count) workers->push_back(std::make_unique<Worker>());
    clearFindings();
    std::atomic<unsigned> next{0};
    for (size_t i = 0; i < count; i++) (*workers)[i]->start(launch, next);
    for (size_t i = 0; i < count; i++) (*workers)[i]->join();
    return findingResult();
}

}  // namespace emulator
