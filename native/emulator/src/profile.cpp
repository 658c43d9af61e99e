// profile.cpp: how a kernel's accesses would meet the memory system: sectors per request of device memory, bank
// conflicts of shared memory. By source place, in the checking build. The k-th time that each lane of a warp passes a
// place counts as one request.
#include "profile.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace emulator {

static bool profiling;

struct Request {
    uintptr_t addresses[WARP];
    uint32_t lanes = 0;
};
struct Passes {  // an instruction, as one warp passes it in the running block
    std::vector<Request> requests;
    uint32_t passed[WARP] = {};
};
struct Totals {
    bool shared, write;
    size_t bytes;  // per lane
    uint64_t requests = 0, sectors = 0, fewestSectors = 0, extraCycles = 0;
};

static std::map<std::pair<uint32_t, unsigned>, Passes>& open() {  // by code offset and warp
    static auto* map = new std::map<std::pair<uint32_t, unsigned>, Passes>;
    return *map;
}
static std::map<uint32_t, Totals>& totals() {  // by code offset
    static auto* map = new std::map<uint32_t, Totals>;
    return *map;
}

void profileAccess(Thread* thread, const Access& access) {
    if (!profiling || access.atomic || access.column != ~0u) return;
    const uint32_t place = codeOffset(access.pc);
    Passes& site = open()[{place, thread->warp}];
    const uint32_t turn = site.passed[thread->lane]++;
    if (site.requests.size() <= turn) site.requests.resize(turn + 1);
    site.requests[turn].addresses[thread->lane] = (uintptr_t)access.address;
    site.requests[turn].lanes |= 1u << thread->lane;
    const Block& block = *thread->block;
    const bool shared = block.isDynamic(access.address, 1) || block.isStatic(access.address, 1);
    totals().try_emplace(place, Totals{shared, access.write, access.bytes});
}

// 32-byte sectors that a request touches.
static size_t sectorsOf(const Request& request, size_t bytes) {
    std::set<uintptr_t> sectors;
    for (unsigned lane = 0; lane < WARP; lane++) {
        if (!(request.lanes >> lane & 1)) continue;
        const uintptr_t first = request.addresses[lane] / 32, last = (request.addresses[lane] + bytes - 1) / 32;
        for (uintptr_t s = first; s <= last; s++) sectors.insert(s);
    }
    return sectors.size();
}

// Cycles beyond the first in each pass. 8-byte accesses go by half warps, 16-byte ones by quarters; lanes that read the
// same word do not conflict.
static size_t conflictsOf(const Request& request, size_t bytes) {
    const unsigned perPass = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
    size_t extra = 0;
    for (unsigned from = 0; from < WARP; from += perPass) {
        std::set<uintptr_t> banks[32];
        for (unsigned lane = from; lane < from + perPass; lane++) {
            if (!(request.lanes >> lane & 1)) continue;
            const uintptr_t first = request.addresses[lane] / 4, last = (request.addresses[lane] + bytes - 1) / 4;
            for (uintptr_t word = first; word <= last; word++) banks[word % 32].insert(word);
        }
        size_t most = 1;
        for (const auto& bank : banks) most = std::max(most, bank.size());
        extra += most - 1;
    }
    return extra;
}

void profileBlockEnd() {
    for (const auto& [key, site] : open()) {
        Totals& t = totals().at(key.first);
        for (const Request& request : site.requests) {
            t.requests++;
            if (t.shared) {
                t.extraCycles += conflictsOf(request, t.bytes);
            } else {
                t.sectors += sectorsOf(request, t.bytes);
                t.fewestSectors += (__builtin_popcount(request.lanes) * t.bytes + 31) / 32;
            }
        }
    }
    open().clear();
}

}  // namespace emulator

using namespace emulator;

// 1 begins to count, 0 stops and prints a table to standard output, the busiest places first.
extern "C" __attribute__((visibility("default"))) void jacquard_emulator_profile(int on) {
    profiling = on;
    if (on) {
        totals().clear();
        open().clear();
        return;
    }
    std::vector<std::pair<uint32_t, Totals>> rows(totals().begin(), totals().end());
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.second.requests > b.second.requests; });
    for (const auto& [place, t] : rows) {
        printf("%-60s %s %s, %2zu bytes, %8llu requests, ", placeOf(place).c_str(), t.shared ? "shared" : "device",
               t.write ? "store" : "load ", t.bytes, (unsigned long long)t.requests);
        if (t.shared) {
            printf("%.2f extra cycles each\n", (double)t.extraCycles / t.requests);
        } else {
            printf("%.1f sectors each, at best %.1f\n", (double)t.sectors / t.requests,
                   (double)t.fewestSectors / t.requests);
        }
    }
    fflush(stdout);
}
