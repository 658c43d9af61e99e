// bulk_copy.cpp: bulk and tensor copies (TMA). Loads happen when no thread can run, stores when they are waited for
// (or, by setting, both at once).
#include "hopper.h"

#include <algorithm>

namespace emulator {

uint32_t swizzled(uint32_t address, unsigned swizzleBytes) {
    switch (swizzleBytes) {
        case 128: return address ^ (address >> 7 & 7) << 4;
        case 64: return address ^ (address >> 7 & 3) << 4;
        case 32: return address ^ (address >> 7 & 1) << 4;
        default: return address;
    }
}

// ---- the parts of a copy

// 16 bytes (or fewer at the end of a contiguous copy) of shared memory, and the part of them inside the tensor.
struct Piece {
    uint32_t shared, bytes;
    uint64_t global;
    uint32_t first, inside;  // bytes [first, first + inside) are in the tensor; global is where the first lies
};

template <class F>
static void contiguousPieces(const BulkCopy& copy, F each) {
    for (uint32_t at = 0; at < copy.bytes; at += 16) each(Piece{copy.shared + at, 16, copy.global + at, 0, 16});
}

template <class F>
static void boxPieces(const BulkCopy& copy, F each) {
    const EncodedMap& map = copy.map;
    static const unsigned swizzleBytes[] = {0, 32, 64, 128};
    const uint32_t rowBytes = map.box[0] * map.elementBytes, perPiece = 16 / map.elementBytes;
    uint32_t rows = 1;
    for (int i = 1; i < map.rank; i++) rows *= map.box[i];
    for (uint32_t row = 0; row < rows; row++) {
        uint64_t base = map.address;
        bool rowInside = true;
        uint32_t rest = row;
        for (int i = 1; i < map.rank; i++) {
            const int64_t c = copy.coordinates[i] + int64_t(rest % map.box[i]);
            rest /= map.box[i];
            rowInside &= c >= 0 && c < map.sizes[i];
            base += c * map.strides[i - 1];
        }
        for (uint32_t x = 0; x < map.box[0]; x += perPiece) {
            const int64_t begin = copy.coordinates[0] + (int64_t)x;
            const int64_t from = std::max<int64_t>(begin, 0);
            const int64_t to = std::min<int64_t>(begin + perPiece, map.sizes[0]);
            const uint32_t inside = rowInside && to > from ? uint32_t(to - from) * map.elementBytes : 0;
            const uint32_t shared = copy.shared + row * rowBytes + x * map.elementBytes;
            each(Piece{swizzled(shared, swizzleBytes[map.swizzle]), 16, base + from * map.elementBytes,
                       uint32_t(from - begin) * map.elementBytes, inside});
        }
    }
}

template <class F>
static void pieces(const BulkCopy& copy, F each) {
    if (copy.map.rank) {
        boxPieces(copy, each);
    } else {
        contiguousPieces(copy, each);
    }
}

static uint32_t bytesOf(const BulkCopy& copy) {
    if (!copy.map.rank) return copy.bytes;
    uint32_t bytes = copy.map.elementBytes;
    for (int i = 0; i < copy.map.rank; i++) bytes *= copy.map.box[i];
    return bytes;
}

// ---- arguments

static void checkContiguous(const BulkCopy& copy, const char* what) {
    if (copy.shared % 16 || copy.global % 16 || copy.bytes % 16 || !copy.bytes) {
        fail(Cause::MISALIGNED, copy.pc, "%s of %u bytes, global %#llx, shared address %u: not multiples of 16", what,
             copy.bytes, (unsigned long long)copy.global, copy.shared);
    }
}

static void readMap(BulkCopy& copy, const TensorMap* map, int rank, const char* what) {
    if ((uintptr_t)map % 64) fail(Cause::MISALIGNED, copy.pc, "tensor map at %p", (const void*)map);
    memcpy(&copy.map, (const void*)map, sizeof copy.map);
    if (copy.map.magic != MAP_MAGIC) fail(Cause::TENSOR_MAP, copy.pc, "%s with a map that was never encoded", what);
    if (copy.map.rank != rank) {
        fail(Cause::TENSOR_MAP, copy.pc, "%s of a tensor of %u dimensions with %d coordinates", what, copy.map.rank,
             rank);
    }
    const uint32_t alignment = copy.map.swizzle == 3   ? 1024
                               : copy.map.swizzle == 2 ? 512
                               : copy.map.swizzle      ? 256
                                                       : 128;
    if (copy.shared % alignment) {
        fail(Cause::MISALIGNED, copy.pc, "%s with shared address %u, which its swizzle needs to be a multiple of %u",
             what, copy.shared, alignment);
    }
}

static void checkGlobal(const BulkCopy& copy, const Piece& piece, const char* what) {
    if (!piece.inside || findAllocation((void*)piece.global, piece.inside)) return;
    fail(Cause::OUT_OF_BOUNDS, copy.pc, "%s touches %u bytes at %#llx, which is in no allocation", what, piece.inside,
         (unsigned long long)piece.global);
}

// ---- loads

static void performLoad(const BulkCopy& copy) {
    pieces(copy, [&](const Piece& piece) {
        unsigned char* to = sharedMemory(copy.thread, piece.shared, piece.bytes, "bulk load", copy.pc);
        memset(to, 0, piece.bytes);
        memcpy(to + piece.first, (const void*)piece.global, piece.inside);
    });
    deliverBytes(*copy.thread->block, copy.bar, bytesOf(copy));
}

static void issueLoad(const BulkCopy& copy) {
    Thread* me = copy.thread;
    Mbarrier& m = findMbarrier(me, copy.bar, copy.pc);
    if (!m.fenced) {
        report(Cause::PROXY_FENCE, copy.pc, "a copy completes on an mbarrier that no fence_mbar_init followed");
    }
    pieces(copy, [&](const Piece& piece) {
        checkGlobal(copy, piece, "bulk load");
        if (piece.inside) {
            checkAccess(me, {(void*)piece.global, piece.inside, false, "bulk load", copy.pc});
        }
        unsigned char* to = sharedMemory(me, piece.shared, piece.bytes, "bulk load", copy.pc);
        checkAccess(me, {to, piece.bytes, true, "bulk load", copy.pc, false, m.column, m.phase + 1});
    });
    if (config.asyncLate) {
        hopperOf(*me->block).loads.push_back(copy);
    } else {
        performLoad(copy);
    }
}

void bulkLoad(uint32_t shared, const void* global, uint32_t bytes, uint32_t bar) {
    BulkCopy copy{{}, current(), shared, bar, {}, (uint64_t)global, bytes, false, __builtin_return_address(0)};
    checkContiguous(copy, "bulk load");
    issueLoad(copy);
}

void tmaLoad(uint32_t shared, const TensorMap* map, const int* coordinates, int rank, uint32_t bar) {
    BulkCopy copy{{}, current(), shared, bar, {}, 0, 0, false, __builtin_return_address(0)};
    readMap(copy, map, rank, "tensor load");
    std::copy(coordinates, coordinates + rank, copy.coordinates);
    issueLoad(copy);
}

bool deliverBulkCopy(Block& block) {
    if (!block.hopper || block.hopper->loads.empty()) return false;
    const BulkCopy copy = block.hopper->loads.front();
    block.hopper->loads.pop_front();
    performLoad(copy);
    return true;
}

// ---- stores

static void addElements(unsigned char* to, const unsigned char* from, uint32_t bytes, unsigned type) {
    constexpr unsigned FLOAT16 = 6, FLOAT32 = 7, BFLOAT16 = 9;  // CUtensorMapDataType
    for (uint32_t i = 0; i < bytes; i += type == FLOAT32 ? 4 : 2) {
        if (type == FLOAT32) {
            float a, b;
            memcpy(&a, to + i, 4);
            memcpy(&b, from + i, 4);
            a += b;
            memcpy(to + i, &a, 4);
            continue;
        }
        uint16_t a, b;
        memcpy(&a, to + i, 2);
        memcpy(&b, from + i, 2);
        if (type == FLOAT16) a = f16FromFloat(floatFromF16(a) + floatFromF16(b));
        if (type == BFLOAT16) a = bf16FromFloat(floatFromBf16(a) + floatFromBf16(b));
        memcpy(to + i, &a, 2);
    }
}

static void performStore(const BulkCopy& copy) {
    pieces(copy, [&](const Piece& piece) {
        if (!piece.inside) return;
        const unsigned char* from =
            sharedMemory(copy.thread, piece.shared, piece.bytes, "bulk store", copy.pc) + piece.first;
        if (copy.add) {
            addElements((unsigned char*)piece.global, from, piece.inside, copy.map.type);
        } else {
            memcpy((void*)piece.global, from, piece.inside);
        }
    });
}

static void issueStore(const BulkCopy& copy) {
    Thread* me = copy.thread;
    BulkStores& stores = hopperOf(*me->block).stores[me->number];
    const unsigned column = bulkStoreColumn(me);
    const uint32_t clock = stores.completedGroups + (uint32_t)stores.groups.size() + 1;
    pieces(copy, [&](const Piece& piece) {
        if (!piece.inside) return;
        checkGlobal(copy, piece, "bulk store");
        unsigned char* from = sharedMemory(me, piece.shared, piece.bytes, "bulk store", copy.pc) + piece.first;
        // First as the issuing thread: what it does not know to be written yet is a race. Then as the copy: what
        // overwrites the source before the wait is one too.
        checkAccess(me, {from, piece.inside, false, "bulk store", copy.pc});
        checkAccess(me, {from, piece.inside, false, "bulk store", copy.pc, false, column, clock});
        checkProxyRead(me, from, piece.inside, "bulk store", copy.pc);
        checkAccess(me, {(void*)piece.global, piece.inside, true, "bulk store", copy.pc, copy.add, column, clock});
    });
    if (!config.asyncLate) performStore(copy);
    stores.open.push_back(copy);
}

void bulkStore(void* global, uint32_t shared, uint32_t bytes) {
    BulkCopy copy{{}, current(), shared, 0, {}, (uint64_t)global, bytes, false, __builtin_return_address(0)};
    checkContiguous(copy, "bulk store");
    issueStore(copy);
}

void tmaStore(const TensorMap* map, uint32_t shared, const int* coordinates, int rank, bool add) {
    BulkCopy copy{{}, current(), shared, 0, {}, 0, 0, add, __builtin_return_address(0)};
    readMap(copy, map, rank, "tensor store");
    std::copy(coordinates, coordinates + rank, copy.coordinates);
    issueStore(copy);
}

void bulkCommit() {
    Thread* me = current();
    BulkStores& stores = hopperOf(*me->block).stores[me->number];
    stores.groups.push_back(std::move(stores.open));
    stores.open.clear();
}

// Reading and writing complete together here: a wait for the reads alone also waits for the writes, which allows a
// little less than the device does.
void bulkWait(unsigned groups, bool) {
    Thread* me = current();
    BulkStores& stores = hopperOf(*me->block).stores[me->number];
    while (stores.groups.size() > groups) {
        if (config.asyncLate) {
            for (const BulkCopy& copy : stores.groups.front()) performStore(copy);
        }
        stores.groups.erase(stores.groups.begin());
        checkBulkStoresDone(me, ++stores.completedGroups);
    }
}

void finishBulkStores(Thread* thread) {
    if (!thread->block->hopper) return;
    BulkStores& stores = thread->block->hopper->stores[thread->number];
    bool pending = !stores.open.empty();
    for (const auto& group : stores.groups) pending |= !group.empty();
    if (pending && !alreadyReported(Cause::ASYNC_COPY, nullptr)) {
        report(Cause::ASYNC_COPY, nullptr, "the thread exits with bulk stores that it never waited for");
    }
}

}  // namespace emulator
