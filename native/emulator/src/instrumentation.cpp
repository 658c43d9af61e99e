// instrumentation.cpp: the checking build compiles kernels with -fsanitize=thread and -fsanitize=undefined, and answers
// their calls here instead of linking the sanitizers' libraries: every load and store of unmodified kernel code arrives
// with its address, size and place, and the library can be loaded into any process.
#include "check.h"

#include <link.h>

namespace emulator {

// ---- this library's own image

struct Image {
    uintptr_t begin = ~(uintptr_t)0, end = 0;
};
static char insideImage;

static int findImage(dl_phdr_info* info, size_t, void* data) {
    Image image;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& header = info->dlpi_phdr[i];
        if (header.p_type != PT_LOAD) continue;
        const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
        image.begin = begin < image.begin ? begin : image.begin;
        image.end = begin + header.p_memsz > image.end ? begin + header.p_memsz : image.end;
    }
    if ((uintptr_t)&insideImage < image.begin || (uintptr_t)&insideImage >= image.end) return 0;
    *(Image*)data = image;
    return 1;
}

bool isLibraryMemory(const void* p, size_t bytes) {
    static const Image image = [] {
        Image found;
        dl_iterate_phdr(findImage, &found);
        return found;
    }();
    return (uintptr_t)p >= image.begin && (uintptr_t)p + bytes <= image.end;
}

// ---- loads and stores

static Block* watched;  // the worker's
void watchAccesses(Block* block) {
    watched = block;
}

static const void* lastPlace;
const void* lastAccessPlace() {
    return lastPlace;
}

static bool isOnStacks(uintptr_t address) {
    const auto stacks = (uintptr_t)watched->stacks;
    return address >= stacks && address < stacks + MAX_THREADS * STACK_BYTES;
}

static inline void access(void* p, size_t bytes, bool write, const void* pc) {
    const auto frame = (uintptr_t)__builtin_frame_address(0), address = (uintptr_t)p;
    if (!watched || !isOnStacks(frame)) return;  // static initialisers of kernel sources
    if (isOnStacks(address)) {
        if (address / STACK_BYTES == frame / STACK_BYTES) return;
        fail(Cause::OUT_OF_BOUNDS, pc, "%s of %zu bytes in the local memory of thread %zu", write ? "write" : "read",
             bytes, (size_t)((address - (uintptr_t)watched->stacks) / STACK_BYTES));
    }
    lastPlace = pc;
    checkAccess(current(), {p, bytes, write, "", pc});
}

}  // namespace emulator

#define PLACE __builtin_return_address(0)
#define ACCESS(bytes)                                                                                                  \
    void __tsan_read##bytes(void* p) {                                                                                 \
        emulator::access(p, bytes, false, PLACE);                                                                      \
    }                                                                                                                  \
    void __tsan_write##bytes(void* p) {                                                                                \
        emulator::access(p, bytes, true, PLACE);                                                                       \
    }                                                                                                                  \
    void __tsan_unaligned_read##bytes(void* p) {                                                                       \
        emulator::access(p, bytes, false, PLACE);                                                                      \
    }                                                                                                                  \
    void __tsan_unaligned_write##bytes(void* p) {                                                                      \
        emulator::access(p, bytes, true, PLACE);                                                                       \
    }                                                                                                                  \
    void __tsan_volatile_read##bytes(void* p) {                                                                        \
        emulator::access(p, bytes, false, PLACE);                                                                      \
    }                                                                                                                  \
    void __tsan_volatile_write##bytes(void* p) {                                                                       \
        emulator::access(p, bytes, true, PLACE);                                                                       \
    }                                                                                                                  \
    void __tsan_read_write##bytes(void* p) {                                                                           \
        emulator::access(p, bytes, false, PLACE);                                                                      \
        emulator::access(p, bytes, true, PLACE);                                                                       \
    }                                                                                                                  \
    void __tsan_unaligned_read_write##bytes(void* p) {                                                                 \
        emulator::access(p, bytes, false, PLACE);                                                                      \
        emulator::access(p, bytes, true, PLACE);                                                                       \
    }

#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
void __tsan_read_range(void* p, unsigned long bytes) {
    emulator::access(p, bytes, false, PLACE);
}
void __tsan_write_range(void* p, unsigned long bytes) {
    emulator::access(p, bytes, true, PLACE);
}
void* __tsan_memcpy(void* to, const void* from, unsigned long bytes) {
    emulator::access((void*)from, bytes, false, PLACE);
    emulator::access(to, bytes, true, PLACE);
    return memcpy(to, from, bytes);
}
void* __tsan_memset(void* to, int value, unsigned long bytes) {
    emulator::access(to, bytes, true, PLACE);
    return memset(to, value, bytes);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {}
}

// ---- undefined behaviour

struct UbsanLocation {
    const char* file;
    uint32_t line, column;
};

static void undefined(const char* what, uintptr_t value, const void* pc) {
    emulator::fail(emulator::Cause::UNDEFINED, pc, "%s (%zd)", what, (ssize_t)value);
}

static void misaligned(uintptr_t address, const void* pc) {
    emulator::fail(emulator::Cause::MISALIGNED, pc, "%s %#zx", address ? "access through the pointer" : "null pointer",
                   (size_t)address);
}

#define UNDEFINED(name, text)                                                                                          \
    void __ubsan_handle_##name(UbsanLocation*, uintptr_t value, uintptr_t) {                                           \
        undefined(text, value, PLACE);                                                                                 \
    }                                                                                                                  \
    void __ubsan_handle_##name##_abort(UbsanLocation*, uintptr_t value, uintptr_t) {                                   \
        undefined(text, value, PLACE);                                                                                 \
    }
extern "C" {
UNDEFINED(out_of_bounds, "array index out of bounds")
UNDEFINED(shift_out_of_bounds, "shift by more than the width")
UNDEFINED(add_overflow, "signed overflow in +")
UNDEFINED(sub_overflow, "signed overflow in -")
UNDEFINED(mul_overflow, "signed overflow in *")
UNDEFINED(negate_overflow, "signed overflow in negation")
UNDEFINED(divrem_overflow, "division by zero or overflow")
UNDEFINED(pointer_overflow, "pointer arithmetic wraps around")
UNDEFINED(load_invalid_value, "a bool or enum with an invalid value")
UNDEFINED(builtin_unreachable, "unreachable code")
UNDEFINED(missing_return, "missing return")
UNDEFINED(vla_bound_not_positive, "array of no elements")
UNDEFINED(nonnull_arg, "null argument")
UNDEFINED(invalid_builtin, "count of zeros in 0")
UNDEFINED(float_cast_overflow, "float out of the integer's range")
void __ubsan_handle_type_mismatch_v1(UbsanLocation*, uintptr_t address) {
    misaligned(address, PLACE);
}
void __ubsan_handle_type_mismatch_v1_abort(UbsanLocation*, uintptr_t address) {
    misaligned(address, PLACE);
}
}
