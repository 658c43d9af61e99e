// memory.cpp: device memory. Allocations come from one large reservation with inaccessible gaps between them, so that a
// stray pointer never lands in another object of the process.
#include "internal.h"

#include "check.h"

#include <sys/mman.h>
#include <algorithm>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

constexpr size_t RESERVATION = (size_t)256 << 30, GAP = 64 << 10, PAGE = 4096, ALIGNMENT = 256;
// New memory is filled with 0xff, NaN in every float format, so that reading it shows. Not beyond this size, where it
// would cost real memory that nobody may ever touch.
constexpr size_t FILLED = (size_t)256 << 20;

static std::map<uintptr_t, Allocation>& allocations() {
    static auto* map = new std::map<uintptr_t, Allocation>;
    return *map;
}
static size_t allocated[MAX_DEVICES];

static size_t roundUp(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

static unsigned char* reservation() {
    static auto* const begin =
        (unsigned char*)mmap(nullptr, RESERVATION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return begin;
}

// Where `bytes` fit between gaps, going round the reservation: addresses are reused as late as possible, so that a use
// after free faults.
static unsigned char* place(size_t bytes) {
    static size_t next = GAP;
    for (int rounds = 0; rounds < 2;) {
        if (next + bytes + GAP > RESERVATION) {
            next = GAP;
            rounds++;
            continue;
        }
        unsigned char* candidate = reservation() + next;
        const auto after = allocations().lower_bound((uintptr_t)candidate);
        if (after != allocations().begin()) {
            const Allocation& before = std::prev(after)->second;
            if (before.begin + before.mappedBytes + GAP > candidate) {
                next = before.begin - reservation() + before.mappedBytes + GAP;
                continue;
            }
        }
        if (after != allocations().end() && candidate + bytes + GAP > after->second.begin) {
            next = after->second.begin - reservation() + after->second.mappedBytes + GAP;
            continue;
        }
        next += bytes + GAP;
        return candidate;
    }
    return nullptr;
}

void* allocateDevice(size_t bytes, int device) {
    size_t& taken = allocated[device];
    if (!bytes || bytes > config.memoryBytes - std::min(taken, config.memoryBytes)) return nullptr;
    const size_t used = roundUp(bytes, ALIGNMENT), mapped = roundUp(used, PAGE);
    unsigned char* pages = place(mapped);
    if (!pages || mprotect(pages, mapped, PROT_READ | PROT_WRITE)) return nullptr;
    // The end lies before an inaccessible page: an overrun beyond the alignment faults at once in every build.
    unsigned char* begin = pages + mapped - used;
    if (!CHECKING && used <= FILLED) memset(begin, 0xff, used);
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(pages, mapped);
    __asan_unpoison_memory_region(begin, bytes);
#endif
    allocations()[(uintptr_t)begin] = {begin, bytes, used, device};
    taken += bytes;
    return begin;
}

Allocation* allocationBelow(const void* p) {
    const auto it = allocations().upper_bound((uintptr_t)p);
    return it == allocations().begin() ? nullptr : &std::prev(it)->second;
}

// Accesses come in runs to the same allocation.
static std::atomic<Allocation*> lastFound;

static bool contains(const Allocation& a, const void* p, size_t bytes) {
    return p >= a.begin && (const unsigned char*)p + bytes <= a.begin + a.bytes;
}

Allocation* findAllocation(const void* p, size_t bytes) {
    Allocation* last = lastFound.load(std::memory_order_relaxed);
    if (last && contains(*last, p, bytes)) return last;
    Allocation* a = allocationBelow(p);
    if (!a || !contains(*a, p, bytes)) return nullptr;
    lastFound.store(a, std::memory_order_relaxed);
    return a;
}

bool freeDevice(void* p) {
    const auto it = allocations().find((uintptr_t)p);
    if (it == allocations().end()) return false;
    Allocation& a = it->second;
    lastFound = nullptr;
    checkFree(a);
    allocated[a.device] -= a.bytes;
    auto* pages = (unsigned char*)((uintptr_t)a.begin / PAGE * PAGE);
    const size_t mapped = a.begin + a.mappedBytes - pages;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(pages, mapped);
#endif
    mmap(pages, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    allocations().erase(it);
    return true;
}

size_t allocatedBytes(int device) {
    return allocated[device];
}

}  // namespace emulator
