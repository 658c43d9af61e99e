// race.cpp: bounds, uninitialised memory and data races, for every access of a kernel (checking build only).
//
// Races are found by vector clocks (knowledge.h), whatever the schedule happened to be. Barriers, __syncwarp, mbarriers
// and waits for copies pass knowledge on; shuffles and mma do not, on a device as here. Two accesses race when they
// touch the same byte, one of them writes, not both are atomic, and neither knows of the other. Blocks of a launch know
// nothing of each other.
//
// Every 4 bytes of shared and device memory have a Shadow that remembers who wrote and read them last. Two writes and
// two reads are kept (with a mask of the bytes they touched), which is exact for elements of 4 bytes or more, for pairs
// of 2-byte elements, and loses the oldest where more than two threads write single bytes of one word.
#include "hopper.h"
#include "knowledge.h"
#include "profile.h"

#include <sys/mman.h>
#include <algorithm>
#include <cinttypes>

namespace emulator {

// One access: when, by whom, which bytes. 0 is none.
class Epoch {
public:
    Epoch() = default;
    Epoch(uint32_t block, unsigned column, uint32_t clock, unsigned bytes, bool atomic)
        : bits((uint64_t)(block & 0xfffff) << 44 | (uint64_t)(column & 0xfff) << 32 |
               (uint64_t)(clock & 0x3ffffff) << 6 | (uint64_t)bytes << 1 | (atomic ? 1 : 0)) {}
    explicit operator bool() const {
        return bits != 0;
    }
    bool operator==(const Epoch& other) const {
        return bits == other.bits;
    }
    uint32_t block() const {
        return (uint32_t)(bits >> 44);
    }
    unsigned column() const {
        return bits >> 32 & 0xfff;
    }
    uint32_t clock() const {
        return bits >> 6 & 0x3ffffff;
    }
    unsigned bytes() const {
        return bits >> 1 & 15;
    }
    bool atomic() const {
        return bits & 1;
    }
    // Nothing is left of it where `mask` was overwritten.
    void forget(unsigned mask) {
        bits = bytes() & ~mask ? bits & ~((uint64_t)mask << 1) : 0;
    }

private:
    uint64_t bits = 0;
};

struct alignas(64) Shadow {  // zero-filled memory is a valid one
    uint32_t era;            // the launch, for shared memory the block, that the epochs belong to
    uint8_t written;         // bytes that hold a value; for shared memory, within the era
    Epoch writes[2], reads[2];
    uint32_t writePlaces[2], readPlaces[2];
};
static_assert(sizeof(Shadow) == 64);

static Shadow* newShadow(size_t words) {
    return (Shadow*)mmap(nullptr, words * sizeof(Shadow), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

// Shadow of one block's shared memory; there is one worker in this build.
struct SharedShadow {
    Shadow* shadow = nullptr;
    size_t words = 0;
    Shadow* of(size_t bytes) {
        const size_t wanted = bytes / 4 + 2;
        if (wanted > words) {
            if (shadow) munmap(shadow, words * sizeof(Shadow));
            shadow = newShadow(wanted);
            words = wanted;
        }
        return shadow;
    }
};
static SharedShadow dynamicShadow, staticShadow;
static uint32_t blockEra;  // counts blocks

// ---- what threads know

static Knowledge knowledge;
static Clock fencedTimes;  // by thread: its time at the last proxy fence

unsigned bulkStoreColumn(Thread* thread) {
    return knowledge.storeColumn(thread->number);
}
unsigned newMbarrierColumn(Block&) {
    return knowledge.newColumn();
}

void checkBlockBegin(Block& block) {
    knowledge.begin(block.threads);
    fencedTimes.assign(block.threads, 0);
    blockEra++;
    dynamicShadow.of(block.dynamicBytes + DYNAMIC_PADDING);
    staticShadow.of(block.staticEnd - block.staticBegin);
}

void checkBlockEnd() {
    profileBlockEnd();
}

void checkRelease(Thread* thread, Clock& clock) {
    knowledge.release(thread->number, clock);
}

void checkAcquire(Thread* thread, const Clock& clock) {
    knowledge.acquire(thread->number, clock);
}

void checkJoinWarp(Block&, unsigned warp, uint32_t mask) {
    Clock clock;
    for (uint32_t m = mask; m; m &= m - 1) knowledge.release(warp * WARP + __builtin_ctz(m), clock);
    for (uint32_t m = mask; m; m &= m - 1) knowledge.acquire(warp * WARP + __builtin_ctz(m), clock);
}

void checkJoinBlock(Block&) {
    knowledge.joinAll();
}

void checkProxyFence(Thread* thread) {
    fencedTimes[thread->number] = knowledge.tick(thread->number);
}

// ---- where an address lies

enum class Space { DYNAMIC, STATIC, DEVICE, CONSTANT };

struct Place {
    Space space;
    Shadow* shadow;  // of the word that holds the address
    size_t offset;   // into the space, or into the allocation
    uint32_t era;
};

static std::string describeAddress(Block& block, const unsigned char* p) {
    char text[200] = "";
    if (p >= block.dynamicBase && p < block.dynamic + block.dynamicBytes + (1 << 20)) {
        snprintf(text, sizeof text, ", offset %td of %u bytes of dynamic shared memory", p - block.dynamic,
                 block.dynamicBytes);
    } else if (const Allocation* a = allocationBelow(p); a && p < a->begin + a->mappedBytes + (64 << 10)) {
        snprintf(text, sizeof text, ", %td bytes into an allocation of %zu", p - a->begin, a->bytes);
    } else if (!p) {
        snprintf(text, sizeof text, ", a null pointer");
    }
    return text;
}

static Place find(Thread* thread, const Access& access) {
    Block& block = *thread->block;
    const auto p = (unsigned char*)access.address;
    if (block.isDynamic(p, access.bytes)) {
        const size_t offset = p - block.dynamic;
        return {Space::DYNAMIC, dynamicShadow.shadow + offset / 4, offset, blockEra};
    }
    if (block.isStatic(p, access.bytes)) {
        const size_t offset = p - block.staticBegin;
        return {Space::STATIC, staticShadow.shadow + offset / 4, offset, blockEra};
    }
    if (Allocation* a = findAllocation(p, access.bytes)) {
        if (!a->shadow) {
            a->shadowBytes = (a->bytes / 4 + 2) * sizeof(Shadow);
            a->shadow = newShadow(a->bytes / 4 + 2);
        }
        const size_t offset = p - a->begin;
        return {Space::DEVICE, (Shadow*)a->shadow + offset / 4, offset, block.launch->number};
    }
    if (!access.write && isLibraryMemory(p, access.bytes)) return {Space::CONSTANT, nullptr, 0, 0};
    fail(Cause::OUT_OF_BOUNDS, access.pc, "%s%s%s of %zu bytes at %p%s", access.what, *access.what ? " " : "",
         access.write ? "write" : "read", access.bytes, (const void*)p, describeAddress(block, p).c_str());
}

// ---- one access

// A race detector's view of one access; `check` goes through its words.
class Detector {
public:
    Detector(Thread* thread, const Access& access)
        : thread(thread),
          access(access),
          block(*thread->block),
          column(access.column == ~0u ? thread->number : access.column),
          clock(access.clock ? access.clock : knowledge.now(thread->number)),
          place(codeOffset(access.pc)) {}

    void check() {
        const Place at = find(thread, access);
        if (at.space == Space::CONSTANT) return;
        space = at.space;
        const size_t end = at.offset + access.bytes;
        Shadow* shadow = at.shadow;
        for (size_t word = at.offset / 4 * 4; word < end; word += 4, shadow++) {
            const unsigned from = word < at.offset ? unsigned(at.offset - word) : 0;
            const unsigned to = end - word < 4 ? unsigned(end - word) : 4;
            mask = ((1u << to) - 1) & ~((1u << from) - 1);
            offset = word + from;
            if (shadow->era != at.era) {
                const uint8_t written = at.space == Space::DEVICE ? shadow->written : 0;
                *shadow = {};
                shadow->era = at.era;
                shadow->written = written;
            }
            if (access.write) {
                write(*shadow);
            } else {
                read(*shadow);
            }
        }
    }

private:
    Thread* const thread;
    const Access& access;
    Block& block;
    const unsigned column;
    const uint32_t clock, place;
    Space space = Space::DEVICE;
    unsigned mask = 0;
    size_t offset = 0;

    bool races(Epoch e) const {
        if (!e || !(e.bytes() & mask) || (e.atomic() && access.atomic)) return false;
        if (e.block() != (block.number & 0xfffff)) return true;
        return e.column() != column && knowledge.of(thread->number, e.column()) < e.clock();
    }

    void write(Shadow& s) {
        for (int i = 0; i < 2; i++) {
            if (races(s.writes[i])) tellRace(s.writes[i], s.writePlaces[i], s.writes[i].atomic() ? "atomic" : "write");
            if (races(s.reads[i])) tellRace(s.reads[i], s.readPlaces[i], "read");
        }
        const Epoch mine(block.number, column, clock, mask, access.atomic);
        if (access.atomic) {
            if ((s.written & mask) != mask) tellUninitialised();
            // A plain write stays known beside the last atomic: other atomics may still race with it.
            const int slot = s.writes[0] && !s.writes[0].atomic() ? 1 : 0;
            s.writes[slot] = mine;
            s.writePlaces[slot] = place;
            return;
        }
        for (int i = 0; i < 2; i++) {
            s.writes[i].forget(mask);
            s.reads[i].forget(mask);
        }
        const int slot = !s.writes[0] ? 0 : 1;
        s.writes[slot] = mine;
        s.writePlaces[slot] = place;
        s.written |= mask;
    }

    void read(Shadow& s) {
        for (int i = 0; i < 2; i++) {
            if (races(s.writes[i])) tellRace(s.writes[i], s.writePlaces[i], s.writes[i].atomic() ? "atomic" : "write");
        }
        if ((s.written & mask) != mask) tellUninitialised();
        const Epoch mine(block.number, column, clock, mask, false);
        if (s.reads[0] == mine || s.reads[1] == mine) return;
        // An earlier read that this one knows of needs no memory of its own: who races with it races with this one.
        int slot = 1;
        for (int i = 0; i < 2; i++) {
            const Epoch e = s.reads[i];
            const bool superseded =
                !e || (!(e.bytes() & ~mask) && e.block() == (block.number & 0xfffff) &&
                       (e.column() == column || knowledge.of(thread->number, e.column()) >= e.clock()));
            if (superseded) {
                slot = i;
                break;
            }
        }
        s.reads[slot] = mine;
        s.readPlaces[slot] = place;
    }

    std::string whoIs(Epoch e) const {
        char text[80];
        const unsigned n = block.threads, c = e.column();
        if (e.block() != (block.number & 0xfffff)) {
            snprintf(text, sizeof text, "block %u", e.block());
        } else if (c < n) {
            snprintf(text, sizeof text, "thread %u", c);
        } else if (knowledge.isAsync(c)) {
            snprintf(text, sizeof text, "a cp.async of thread %u", knowledge.ownerOf(c));
        } else if (knowledge.isStore(c)) {
            snprintf(text, sizeof text, "a bulk store of thread %u", knowledge.ownerOf(c));
        } else {
            snprintf(text, sizeof text, "a bulk load");
        }
        return text;
    }

    std::string memoryText() const {
        if (space == Space::STATIC) return "shared variable " + variableAt(offset);
        return (space == Space::DYNAMIC ? "shared memory, offset " : "device memory, offset ") + std::to_string(offset);
    }

    void tellRace(Epoch other, uint32_t otherPlace, const char* kind) const {
        if (alreadyReported(Cause::RACE, access.pc)) return;
        report(Cause::RACE, access.pc, "%s%s%s of %s, unordered with %s %s by %s at %s", access.what,
               *access.what ? " " : "",
               access.write && !access.atomic ? "write"
               : access.atomic                ? "access"
                                              : "read",
               memoryText().c_str(), *kind == 'a' ? "an" : "a", kind, whoIs(other).c_str(),
               placeOf(otherPlace).c_str());
    }

    void tellUninitialised() const {
        if (alreadyReported(Cause::UNINITIALISED, access.pc)) return;
        report(Cause::UNINITIALISED, access.pc, "%s%s of %s, that nobody wrote", access.what,
               *access.what ? " access" : "read", memoryText().c_str());
    }
};

void checkAccess(Thread* thread, const Access& access) {
    profileAccess(thread, access);
    Detector(thread, access).check();
}

// ---- asynchronous copies

void checkCopyIssued(Thread* thread, const AsyncCopy& copy, const void* pc) {
    const AsyncCopies& copies = thread->block->copies[thread->number];
    const unsigned column = knowledge.asyncColumn(thread->number);
    const uint32_t group = copies.completedGroups + (uint32_t)copies.groups.size() + 1;
    if (copy.readBytes) checkAccess(thread, {copy.from, copy.readBytes, false, "cp.async", pc});
    checkAccess(thread, {copy.to, copy.bytes, true, "cp.async", pc, false, column, group});
}

void checkCopiesDone(Thread* thread) {
    knowledge.asyncDone(thread->number, thread->block->copies[thread->number].completedGroups);
}

void checkBulkStoresDone(Thread* thread, uint32_t groups) {
    knowledge.storesDone(thread->number, groups);
}

void checkProxyRead(Thread* thread, const void* p, size_t bytes, const char* what, const void* pc) {
    Block& block = *thread->block;
    if (!block.isDynamic(p, bytes)) return;
    const size_t offset = (const unsigned char*)p - block.dynamic;
    for (size_t word = offset / 4; word <= (offset + bytes - 1) / 4; word++) {
        const Shadow& s = dynamicShadow.shadow[word];
        for (int i = 0; i < 2; i++) {
            const Epoch e = s.writes[i];
            if (!e || s.era != blockEra || e.column() >= block.threads || fencedTimes[e.column()] >= e.clock())
                continue;
            if (alreadyReported(Cause::PROXY_FENCE, pc)) return;
            report(Cause::PROXY_FENCE, pc,
                   "%s reads shared offset %zu, written by thread %u at %s with no fence_proxy_async since", what,
                   word * 4, e.column(), placeOf(s.writePlaces[i]).c_str());
            return;
        }
    }
}

// ---- the host's side of device memory

static Shadow* shadowOf(const void* p, size_t bytes, size_t& offset) {
    Allocation* a = findAllocation(p, bytes);
    if (!a) return nullptr;
    if (!a->shadow) {
        a->shadowBytes = (a->bytes / 4 + 2) * sizeof(Shadow);
        a->shadow = newShadow(a->bytes / 4 + 2);
    }
    offset = (const unsigned char*)p - a->begin;
    return (Shadow*)a->shadow;
}

static void setWritten(Shadow* shadow, size_t begin, size_t end, bool written) {
    for (size_t i = begin; i < end;) {
        const unsigned from = i % 4, count = (unsigned)std::min<size_t>(4 - from, end - i);
        const unsigned mask = ((1u << count) - 1) << from;
        if (written) {
            shadow[i / 4].written |= mask;
        } else {
            shadow[i / 4].written &= ~mask;
        }
        i += count;
    }
}

void checkHostWrite(void* p, size_t bytes) {
    size_t offset;
    Shadow* shadow = shadowOf(p, bytes, offset);
    if (shadow) setWritten(shadow, offset, offset + bytes, true);
}

// Whole pages of shadow are given back and read as zero again: nothing is known of these words.
void checkUndefine(void* p, size_t bytes) {
    constexpr size_t PAGE_WORDS = 4096 / sizeof(Shadow), PAGE = 4 * PAGE_WORDS;  // bytes of data under one page
    size_t begin;
    Shadow* shadow = shadowOf(p, bytes, begin);
    if (!shadow) return;
    const size_t end = begin + bytes, firstPage = (begin + PAGE - 1) / PAGE * PAGE, lastPage = end / PAGE * PAGE;
    if (firstPage >= lastPage) return setWritten(shadow, begin, end, false);
    setWritten(shadow, begin, firstPage, false);
    madvise(shadow + firstPage / 4, (lastPage - firstPage) / 4 * sizeof(Shadow), MADV_DONTNEED);
    setWritten(shadow, lastPage, end, false);
}

void checkCopied(void* to, const void* from, size_t bytes) {
    size_t source, target;
    const Shadow* read = shadowOf(from, bytes, source);
    Shadow* written = shadowOf(to, bytes, target);
    if (!read || !written) return;
    for (size_t i = 0; i < bytes; i++) {
        const unsigned mask = 1u << (target + i) % 4;
        const bool known = read[(source + i) / 4].written >> (source + i) % 4 & 1;
        uint8_t& to = written[(target + i) / 4].written;
        to = known ? to | mask : to & ~mask;
    }
}

void checkFree(Allocation& allocation) {
    if (allocation.shadow) munmap(allocation.shadow, allocation.shadowBytes);
}

}  // namespace emulator
