// shared.cpp: shared memory, its 32-bit addresses, and 16-byte accesses.
#include "check.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

// The padding in front makes the address a multiple of the alignment that the kernel asks for, but of no larger power
// of two: a kernel that relies on more fails here and not on some device.
unsigned char* dynamicShared(unsigned alignment, const char* name) {
    Block& block = *current()->block;
    if (!block.dynamicAlignment) {
        block.dynamicAlignment = alignment;
        block.dynamic = block.dynamicBase + alignment % DYNAMIC_PADDING;
#ifdef __SANITIZE_ADDRESS__
        __asan_poison_memory_region(block.dynamic + block.dynamicBytes, 256);
#endif
    } else if (block.dynamicAlignment != alignment) {
        fail(Cause::UNDEFINED, __builtin_return_address(0), "DYN_SMEM(%s, %u), but another one of this kernel has %u",
             name, alignment, block.dynamicAlignment);
    }
    return block.dynamic;
}

uint32_t windowAddress(const Block& block, const void* p) {
    const auto address = (const unsigned char*)p;
    if (block.isStatic(p, 0)) return STATIC_WINDOW + uint32_t(address - block.staticBegin);
    return DYNAMIC_WINDOW + uint32_t(address - block.dynamicBase);
}

uint32_t sharedAddress(const void* p) {
    const Block& block = *current()->block;
    if (!block.isStatic(p, 0) && !block.isDynamic(p, 0)) {
        fail(Cause::OUT_OF_BOUNDS, __builtin_return_address(0), "%p is not an address of shared memory", p);
    }
    return windowAddress(block, p);
}

unsigned char* sharedMemory(Thread* thread, uint32_t address, uint32_t bytes, const char* what, const void* pc) {
    Block& block = *thread->block;
    if (address >= STATIC_WINDOW) {
        unsigned char* p = block.staticBegin + (address - STATIC_WINDOW);
        if (block.isStatic(p, bytes)) return p;
    } else if (address >= DYNAMIC_WINDOW) {
        unsigned char* p = block.dynamicBase + (address - DYNAMIC_WINDOW);
        if (block.isDynamic(p, bytes)) return p;
    }
    const long first = (long)DYNAMIC_WINDOW + (block.dynamic - block.dynamicBase);
    fail(Cause::OUT_OF_BOUNDS, pc, "%s of %u bytes at offset %ld of %u bytes of dynamic shared memory", what, bytes,
         (long)address - first, block.dynamicBytes);
}

static void checkVector(const void* p, bool write, const void* pc) {
    if ((uintptr_t)p % 16) fail(Cause::MISALIGNED, pc, "16-byte %s at %p", write ? "write" : "read", p);
    checkAccess(current(), {p, 16, write, "", pc});
}

uint4 load128(const void* p) {
    checkVector(p, false, __builtin_return_address(0));
    uint4 value;
    memcpy(&value, p, sizeof value);
    return value;
}

void store128(void* p, uint4 value) {
    checkVector(p, true, __builtin_return_address(0));
    memcpy(p, &value, sizeof value);
}

}  // namespace emulator
