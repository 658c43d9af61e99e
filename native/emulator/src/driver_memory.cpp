// driver_memory.cpp: device and pinned host memory, copies, sets.
#include "check.h"
#include "driver.h"

namespace emulator::driver {

// ---- pinned host memory, by first address

static std::map<uintptr_t, size_t>& pinned() {
    static auto* map = new std::map<uintptr_t, size_t>;
    return *map;
}

bool isPinned(const void* p, size_t bytes) {
    auto it = pinned().upper_bound((uintptr_t)p);
    if (it == pinned().begin()) return false;
    --it;
    return (uintptr_t)p + bytes <= it->first + it->second;
}

static int requireDevice(uint64_t address, size_t bytes, const char* what) {
    if (!bytes || findAllocation((void*)address, bytes)) return SUCCESS;
    return refuse(INVALID_VALUE, "%s: %zu bytes at %#llx are not inside one allocation", what, bytes,
                  (unsigned long long)address);
}

// ---- copies

// From host memory that is not pinned a copy is staged at the call, as the driver does; pinned memory is read when the
// copy runs, so that overwriting it too early shows.
static int toDevice(uint64_t to, const void* from, size_t bytes, void* stream) {
    if (const int refused = requireDevice(to, bytes, "destination")) return refused;
    const Stream* s = streamOf(stream);
    std::shared_ptr<std::vector<unsigned char>> staged;
    if (s && !s->capture && !isPinned(from, bytes)) {
        staged = std::make_shared<std::vector<unsigned char>>((const unsigned char*)from,
                                                              (const unsigned char*)from + bytes);
    }
    return enqueue(stream, {Kind::MEMCPY,
                            [=] {
                                memcpy((void*)to, staged ? staged->data() : from, bytes);
                                checkHostWrite((void*)to, bytes);
                                return (int)SUCCESS;
                            },
                            nullptr});
}

static int toHost(void* to, uint64_t from, size_t bytes, void* stream) {
    if (const int refused = requireDevice(from, bytes, "source")) return refused;
    const int result = enqueue(stream, {Kind::MEMCPY,
                                        [=] {
                                            memcpy(to, (const void*)from, bytes);
                                            return (int)SUCCESS;
                                        },
                                        nullptr});
    Stream* s = streamOf(stream);
    // To memory that is not pinned the call returns when the copy is done.
    if (result || !s || s->capture || isPinned(to, bytes)) return result;
    return runUntil(*s, s->enqueued);
}

static int onDevice(uint64_t to, uint64_t from, size_t bytes, void* stream) {
    if (const int refused = requireDevice(to, bytes, "destination")) return refused;
    if (const int refused = requireDevice(from, bytes, "source")) return refused;
    return enqueue(stream, {Kind::MEMCPY,
                            [=] {
                                memmove((void*)to, (const void*)from, bytes);
                                checkCopied((void*)to, (const void*)from, bytes);
                                return (int)SUCCESS;
                            },
                            nullptr});
}

template <class T>
static int set(uint64_t to, T value, size_t count, void* stream) {
    if (to % sizeof(T))
        return refuse(INVALID_VALUE, "%#llx is not a multiple of %zu", (unsigned long long)to, sizeof(T));
    if (const int refused = requireDevice(to, count * sizeof(T), "destination")) return refused;
    return enqueue(stream, {Kind::MEMSET,
                            [=] {
                                for (size_t i = 0; i < count; i++) memcpy((T*)to + i, &value, sizeof value);
                                checkHostWrite((void*)to, count * sizeof(T));
                                return (int)SUCCESS;
                            },
                            nullptr});
}

// The calls without a stream: on the default stream, and waiting.
static int waiting(const char* why, const std::function<int()>& start) {
    if (const int refused = forbidCapture(why)) return refused;
    if (const int failed = start()) return failed;
    return runEverything();
}

}  // namespace emulator::driver

using namespace emulator::driver;

EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
    return call("cuMemGetInfo_v2", Needs::CONTEXT, [&] {
        *total = emulator::config.memoryBytes;
        *free = *total - emulator::allocatedBytes(currentDevice());
        return (int)SUCCESS;
    });
}

EXPORT int cuMemAlloc_v2(uint64_t* address, size_t bytes) {
    return call("cuMemAlloc_v2", Needs::CONTEXT, [&] {
        if (const int refused = forbidCapture("allocating")) return refused;
        if (!bytes) return refuse(INVALID_VALUE, "0 bytes");
        *address = (uint64_t)emulator::allocateDevice(bytes, currentDevice());
        if (*address) return (int)SUCCESS;
        return refuse(OUT_OF_MEMORY, "wanted %zu bytes, %zu of %zu are free", bytes,
                      emulator::config.memoryBytes - emulator::allocatedBytes(currentDevice()), emulator::config.memoryBytes);
    });
}

EXPORT int cuMemFree_v2(uint64_t address) {
    return call("cuMemFree_v2", Needs::RELEASE, [&] {
        if (!address) return (int)SUCCESS;
        if (const int refused = forbidCapture("freeing")) return refused;
        runEverything();
        if (emulator::freeDevice((void*)address)) return (int)SUCCESS;
        return refuse(INVALID_VALUE, "%#llx is not the address of an allocation", (unsigned long long)address);
    });
}

EXPORT int cuMemAllocAsync(uint64_t* address, size_t bytes, void*) {
    return call("cuMemAllocAsync", Needs::CONTEXT, [&] {
        *address = (uint64_t)emulator::allocateDevice(bytes, currentDevice());
        return *address ? (int)SUCCESS : refuse(OUT_OF_MEMORY, "wanted %zu bytes", bytes);
    });
}

EXPORT int cuMemFreeAsync(uint64_t address, void* stream) {
    return call("cuMemFreeAsync", Needs::CONTEXT, [&] {
        if (const int refused = requireDevice(address, 1, "address")) return refused;
        return enqueue(
            stream,
            {Kind::EMPTY, [=] { return emulator::freeDevice((void*)address) ? (int)SUCCESS : (int)INVALID_VALUE; },
             nullptr});
    });
}

EXPORT int cuMemGetAddressRange_v2(uint64_t* begin, size_t* bytes, uint64_t address) {
    return call("cuMemGetAddressRange_v2", Needs::CONTEXT, [&] {
        const emulator::Allocation* a = emulator::findAllocation((void*)address, 1);
        if (!a) return refuse(NOT_FOUND, "%#llx is in no allocation", (unsigned long long)address);
        if (begin) *begin = (uint64_t)a->begin;
        if (bytes) *bytes = a->bytes;
        return (int)SUCCESS;
    });
}

// ---- pinned host memory

EXPORT int cuMemHostAlloc(void** p, size_t bytes, unsigned) {
    return call("cuMemHostAlloc", Needs::CONTEXT, [&] {
        if (!bytes) return refuse(INVALID_VALUE, "0 bytes");
        const size_t whole = (bytes + 4095) / 4096 * 4096;
        *p = aligned_alloc(4096, whole);
        if (!*p) return refuse(OUT_OF_MEMORY, "%zu bytes of host memory", bytes);
        pinned()[(uintptr_t)*p] = bytes;
        return (int)SUCCESS;
    });
}
EXPORT int cuMemAllocHost_v2(void** p, size_t bytes) {
    return cuMemHostAlloc(p, bytes, 0);
}

EXPORT int cuMemFreeHost(void* p) {
    return call("cuMemFreeHost", Needs::RELEASE, [&] {
        runEverything();
        if (!pinned().erase((uintptr_t)p)) return refuse(INVALID_VALUE, "%p was not allocated by cuMemAllocHost", p);
        free(p);
        return (int)SUCCESS;
    });
}

EXPORT int cuMemHostRegister_v2(void* p, size_t bytes, unsigned) {
    return call("cuMemHostRegister_v2", Needs::CONTEXT, [&] {
        pinned()[(uintptr_t)p] = bytes;
        return (int)SUCCESS;
    });
}

EXPORT int cuMemHostUnregister(void* p) {
    return call("cuMemHostUnregister", Needs::RELEASE, [&] {
        runEverything();
        return pinned().erase((uintptr_t)p) ? (int)SUCCESS : refuse(INVALID_VALUE, "%p is not registered", p);
    });
}

// ---- copies and sets

EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* stream) {
    return call("cuMemcpyHtoDAsync_v2", Needs::CONTEXT, [&] { return toDevice(to, from, bytes, stream); });
}
EXPORT int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* stream) {
    return call("cuMemcpyDtoHAsync_v2", Needs::CONTEXT, [&] { return toHost(to, from, bytes, stream); });
}
EXPORT int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* stream) {
    return call("cuMemcpyDtoDAsync_v2", Needs::CONTEXT, [&] { return onDevice(to, from, bytes, stream); });
}
EXPORT int cuMemcpyHtoD_v2(uint64_t to, const void* from, size_t bytes) {
    return call("cuMemcpyHtoD_v2", Needs::CONTEXT,
                [&] { return waiting("a copy that waits", [&] { return toDevice(to, from, bytes, nullptr); }); });
}
EXPORT int cuMemcpyDtoH_v2(void* to, uint64_t from, size_t bytes) {
    return call("cuMemcpyDtoH_v2", Needs::CONTEXT,
                [&] { return waiting("a copy that waits", [&] { return toHost(to, from, bytes, nullptr); }); });
}
EXPORT int cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes) {
    return call("cuMemcpyDtoD_v2", Needs::CONTEXT,
                [&] { return waiting("a copy that waits", [&] { return onDevice(to, from, bytes, nullptr); }); });
}

EXPORT int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, void* stream) {
    return call("cuMemsetD8Async", Needs::CONTEXT, [&] { return set(to, value, count, stream); });
}
EXPORT int cuMemsetD16Async(uint64_t to, unsigned short value, size_t count, void* stream) {
    return call("cuMemsetD16Async", Needs::CONTEXT, [&] { return set(to, value, count, stream); });
}
EXPORT int cuMemsetD32Async(uint64_t to, unsigned value, size_t count, void* stream) {
    return call("cuMemsetD32Async", Needs::CONTEXT, [&] { return set(to, value, count, stream); });
}
EXPORT int cuMemsetD8_v2(uint64_t to, unsigned char value, size_t count) {
    return call("cuMemsetD8_v2", Needs::CONTEXT,
                [&] { return waiting("a set that waits", [&] { return set(to, value, count, nullptr); }); });
}
EXPORT int cuMemsetD32_v2(uint64_t to, unsigned value, size_t count) {
    return call("cuMemsetD32_v2", Needs::CONTEXT,
                [&] { return waiting("a set that waits", [&] { return set(to, value, count, nullptr); }); });
}

// For a program that divides one allocation into many: from now on reading these bytes counts as uninitialised, until
// they are written. In the order of the stream; only the checking build notices.
EXPORT int jacquard_emulator_undefine(uint64_t address, size_t bytes, void* stream) {
    return call("jacquard_emulator_undefine", Needs::CONTEXT, [&] {
        if (const int refused = requireDevice(address, bytes, "address")) return refused;
        return enqueue(stream, {Kind::EMPTY,
                                [=] {
                                    emulator::checkUndefine((void*)address, bytes);
                                    return (int)SUCCESS;
                                },
                                nullptr});
    });
}
