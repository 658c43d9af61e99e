// watchdog.cpp: a kernel may spin on memory that nobody will ever write. The scheduler cannot notice, since it is not
// called; so a thread of its own looks whether the launch still makes steps, and if not interrupts it by a signal,
// whose handler runs on the spinning fiber's stack and abandons the launch.
#include "watchdog.h"

#include "check.h"

#include <pthread.h>
#include <ucontext.h>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>

namespace emulator {

namespace {

// Ignored where nobody handles it, and used by no JVM.
constexpr int SIGNAL = SIGURG;

struct Watched {
    pthread_t thread;
    Block* block;
    uint64_t steps = 0;
    unsigned idleSeconds = 0;
};
std::mutex mutex;
std::vector<Watched>& watched() {
    static auto* list = new std::vector<Watched>;
    return *list;
}

const void* interruptedPlace(const void* context) {
    if (const void* pc = lastAccessPlace()) return pc;
#if defined(__x86_64__)
    return (const void*)(((const ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] + 1);
#else
    return (const void*)(((const ucontext_t*)context)->uc_mcontext.pc + 1);
#endif
}

void interrupt(int, siginfo_t*, void* context) {
    const auto frame = (uintptr_t)__builtin_frame_address(0);
    for (const Watched& w : watched()) {
        const auto stacks = (uintptr_t)w.block->stacks;
        if (frame < stacks || frame >= stacks + MAX_THREADS * STACK_BYTES) continue;
        fail(Cause::STUCK, interruptedPlace(context), "no thread of the block made a step for %u seconds",
             config.timeoutSeconds);
    }
}

[[noreturn]] void watch() {
    while (true) {
        std::this_thread::sleep_for(std::chrono::seconds(1));
        std::lock_guard<std::mutex> guard(mutex);
        for (Watched& w : watched()) {
            const uint64_t steps = w.block->steps;
            const bool idle = w.block->running && steps == w.steps;
            w.idleSeconds = idle ? w.idleSeconds + 1 : 0;
            w.steps = steps;
            if (w.idleSeconds == config.timeoutSeconds) pthread_kill(w.thread, SIGNAL);
        }
    }
}

}  // namespace

void watchWorker(Block* block) {
    std::lock_guard<std::mutex> guard(mutex);
    if (watched().empty()) {
        watched().reserve(256);  // the handler reads it without the lock
        struct sigaction action {};
        action.sa_sigaction = interrupt;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;  // the handler never returns: the signal must not stay blocked
        sigaction(SIGNAL, &action, nullptr);
        std::thread(watch).detach();
    }
    watched().push_back({pthread_self(), block});
}

}  // namespace emulator
