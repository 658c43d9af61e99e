// emulator.h: CUDA C++ for a host compiler. Each thread of a block is a fiber; the fibers of a block take turns on one
// OS thread. A kernel source includes this (through kernel.cuh) instead of being compiled by nvcc.
#pragma once
#include "emulator_types.h"

#include <cstddef>
#include <cstdlib>
#include <type_traits>
#include <utility>

// ---- language extensions

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// A block runs on one OS thread and one block at a time, so the thread-local storage of this library is the block's
// static shared memory. No other thread_local may exist in this library.
#define __shared__ thread_local

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#define EMULATOR_INLINE static inline __attribute__((always_inline))

namespace emulator {

// Where a collective operation stands in the source: what the threads that meet in it compare.
struct Site {
    const char* file;
    int line;
    static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
        return {file, line};
    }
};
#define EMULATOR_AT emulator::Site at = emulator::Site::here()

// ---- the running thread

struct Block;

// Lies near the top of the thread's own stack, which is aligned to its size: finding it takes a few instructions and
// no thread-local variable.
struct Thread {
    uint3 threadIndex, blockIndex;
    dim3 blockShape, gridShape;
    uint32_t number, lane, warp;
    Block* block;
    void* stackPointer;  // while another fiber runs
    void* asanStack;
};

#ifdef __SANITIZE_ADDRESS__
constexpr uintptr_t STACK_BYTES = 512 << 10;
#else
constexpr uintptr_t STACK_BYTES = 128 << 10;
#endif

// The record's place varies from stack to stack: at the same offset in every aligned stack, all fibers' busy cache
// lines would fall into the same few sets (measured: half the speed).
constexpr uintptr_t RECORD_BYTES = 192;
static_assert(sizeof(Thread) <= RECORD_BYTES && RECORD_BYTES % 64 == 0);

static inline Thread* threadOfStack(uintptr_t address) {
    const uintptr_t stack = address / STACK_BYTES;
    return (Thread*)((stack + 1) * STACK_BYTES - (1 + (stack & 63)) * RECORD_BYTES);
}

EMULATOR_INLINE Thread* current() {
    return threadOfStack((uintptr_t)__builtin_frame_address(0));
}

// ---- what the runtime offers to the inline functions below

void syncWarp(uint32_t mask, Site at);
uint64_t shuffle(uint32_t mask, uint64_t value, int source, int width, int kind, Site at);
uint32_t ballot(uint32_t mask, bool predicate, Site at);
// Returns the sum of `value` over the threads. `threads` 0: the whole block.
unsigned barrierSync(int id, unsigned threads, unsigned value, Site at);
void barrierArrive(int id, unsigned threads, Site at);
unsigned char* dynamicShared(unsigned alignment, const char* name);
// One attempt of an atomic operation: see atomicUpdate.
uint64_t atomicRead(const void* p, int bytes);
bool atomicReplace(void* p, int bytes, uint64_t* expected, uint64_t value);
void fence();
void yield();
[[noreturn]] void trap();

template <class T>
EMULATOR_INLINE T shuffleOf(uint32_t mask, T value, int source, int width, int kind, Site at) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = shuffle(mask, bits, source, width, kind, at);
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Compare-and-swap in the runtime, which is not instrumented: there the access counts as atomic. Blocks may run on
// several OS threads, so it is a real one.
template <class T, class F>
EMULATOR_INLINE T atomicUpdate(T* p, F next) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    uint64_t expected = atomicRead(p, sizeof(T)), wanted;
    T before;
    do {
        memcpy(&before, &expected, sizeof(T));
        const T after = next(before);
        wanted = 0;
        memcpy(&wanted, &after, sizeof(T));
    } while (!atomicReplace(p, sizeof(T), &expected, wanted));
    return before;
}

}  // namespace emulator

#define threadIdx (static_cast<const uint3&>(emulator::current()->threadIndex))
#define blockIdx (static_cast<const uint3&>(emulator::current()->blockIndex))
#define blockDim (static_cast<const dim3&>(emulator::current()->blockShape))
#define gridDim (static_cast<const dim3&>(emulator::current()->gridShape))
constexpr int warpSize = 32;

// ---- barriers, shuffles, votes

EMULATOR_INLINE void __syncthreads(EMULATOR_AT) {
    emulator::barrierSync(0, 0, 0, at);
}
EMULATOR_INLINE int __syncthreads_count(int predicate, EMULATOR_AT) {
    return (int)emulator::barrierSync(0, 0, predicate != 0, at);
}
EMULATOR_INLINE int __syncthreads_or(int predicate, EMULATOR_AT) {
    return emulator::barrierSync(0, 0, predicate != 0, at) != 0;
}
EMULATOR_INLINE int __syncthreads_and(int predicate, EMULATOR_AT) {
    return emulator::barrierSync(0, 0, predicate == 0, at) == 0;
}
EMULATOR_INLINE void __syncwarp(uint32_t mask = ~0u, EMULATOR_AT) {
    emulator::syncWarp(mask, at);
}
enum { EMULATOR_SHUFFLE_INDEX, EMULATOR_SHUFFLE_UP, EMULATOR_SHUFFLE_DOWN, EMULATOR_SHUFFLE_XOR };
template <class T>
EMULATOR_INLINE T __shfl_sync(uint32_t mask, T v, int source, int width = 32, EMULATOR_AT) {
    return emulator::shuffleOf(mask, v, source, width, EMULATOR_SHUFFLE_INDEX, at);
}
template <class T>
EMULATOR_INLINE T __shfl_up_sync(uint32_t mask, T v, unsigned delta, int width = 32, EMULATOR_AT) {
    return emulator::shuffleOf(mask, v, (int)delta, width, EMULATOR_SHUFFLE_UP, at);
}
template <class T>
EMULATOR_INLINE T __shfl_down_sync(uint32_t mask, T v, unsigned delta, int width = 32, EMULATOR_AT) {
    return emulator::shuffleOf(mask, v, (int)delta, width, EMULATOR_SHUFFLE_DOWN, at);
}
template <class T>
EMULATOR_INLINE T __shfl_xor_sync(uint32_t mask, T v, int lanes, int width = 32, EMULATOR_AT) {
    return emulator::shuffleOf(mask, v, lanes, width, EMULATOR_SHUFFLE_XOR, at);
}
EMULATOR_INLINE unsigned __ballot_sync(uint32_t mask, int predicate, EMULATOR_AT) {
    return emulator::ballot(mask, predicate != 0, at);
}
EMULATOR_INLINE int __any_sync(uint32_t mask, int predicate, EMULATOR_AT) {
    return emulator::ballot(mask, predicate != 0, at) != 0;
}
EMULATOR_INLINE int __all_sync(uint32_t mask, int predicate, EMULATOR_AT) {
    return emulator::ballot(mask, predicate != 0, at) == mask;
}

// ---- atomics and fences

template <class T, class U>
EMULATOR_INLINE T atomicAdd(T* p, U v) {
    return emulator::atomicUpdate(p, [=](T old) { return T(old + (T)v); });
}
template <class T, class U>
EMULATOR_INLINE T atomicMax(T* p, U v) {
    return emulator::atomicUpdate(p, [=](T old) { return old > (T)v ? old : (T)v; });
}
template <class T, class U>
EMULATOR_INLINE T atomicMin(T* p, U v) {
    return emulator::atomicUpdate(p, [=](T old) { return old < (T)v ? old : (T)v; });
}
template <class T, class U>
EMULATOR_INLINE T atomicOr(T* p, U v) {
    return emulator::atomicUpdate(p, [=](T old) { return T(old | (T)v); });
}
template <class T, class U>
EMULATOR_INLINE T atomicAnd(T* p, U v) {
    return emulator::atomicUpdate(p, [=](T old) { return T(old & (T)v); });
}
template <class T, class U>
EMULATOR_INLINE T atomicExch(T* p, U v) {
    return emulator::atomicUpdate(p, [=](T) { return (T)v; });
}
template <class T, class U, class V>
EMULATOR_INLINE T atomicCAS(T* p, U compare, V v) {
    return emulator::atomicUpdate(p, [=](T old) { return old == (T)compare ? (T)v : old; });
}
EMULATOR_INLINE void __threadfence() {
    emulator::fence();
}
EMULATOR_INLINE void __threadfence_block() {
    emulator::fence();
}
EMULATOR_INLINE void __trap() {
    emulator::trap();
}
EMULATOR_INLINE void __nanosleep(unsigned) {
    emulator::yield();
}
template <class T>
EMULATOR_INLINE T __ldg(const T* p) {
    return *p;
}

// ---- arithmetic; glibc declares some of CUDA's names itself, hence the macros

#define __expf expf
#define __logf logf
#define __sinf sinf
#define __cosf cosf
#define __powf powf
#define rsqrtf emulatorRsqrt
EMULATOR_INLINE float emulatorRsqrt(float x) {
    return 1.f / sqrtf(x);
}
EMULATOR_INLINE float __fdividef(float a, float b) {
    return a / b;
}
EMULATOR_INLINE float __frcp_rn(float a) {
    return 1.f / a;
}
EMULATOR_INLINE float __fsqrt_rn(float a) {
    return sqrtf(a);
}
EMULATOR_INLINE float __fmul_rn(float a, float b) {
    return a * b;
}
EMULATOR_INLINE float __fadd_rn(float a, float b) {
    return a + b;
}
EMULATOR_INLINE float __fsub_rn(float a, float b) {
    return a - b;
}
EMULATOR_INLINE float __fdiv_rn(float a, float b) {
    return a / b;
}
EMULATOR_INLINE float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}
EMULATOR_INLINE float __saturatef(float x) {
    return x > 0.f ? (x < 1.f ? x : 1.f) : 0.f;  // NaN gives 0, as on the device
}
EMULATOR_INLINE int __float_as_int(float x) {
    return emulator::bitsAs<int>(x);
}
EMULATOR_INLINE uint32_t __float_as_uint(float x) {
    return emulator::bitsAs<uint32_t>(x);
}
EMULATOR_INLINE float __int_as_float(int x) {
    return emulator::bitsAs<float>(x);
}
EMULATOR_INLINE float __uint_as_float(uint32_t x) {
    return emulator::bitsAs<float>(x);
}
// To integers the device saturates, and makes 0 of NaN.
EMULATOR_INLINE int __float2int_rn(float x) {
    return x != x ? 0 : x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : (int)lrintf(x);
}
EMULATOR_INLINE int __float2int_rz(float x) {
    return x != x ? 0 : x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : (int)x;
}
EMULATOR_INLINE uint32_t __float2uint_rz(float x) {
    return !(x > 0.f) ? 0u : x >= 0x1p32f ? UINT32_MAX : (uint32_t)x;
}
EMULATOR_INLINE uint32_t __umulhi(uint32_t a, uint32_t b) {
    return (uint32_t)((uint64_t)a * b >> 32);
}
EMULATOR_INLINE int __popc(uint32_t x) {
    return __builtin_popcount(x);
}
EMULATOR_INLINE int __ffs(int x) {
    return __builtin_ffs(x);
}
EMULATOR_INLINE int __clz(int x) {
    return x ? __builtin_clz((uint32_t)x) : 32;
}
EMULATOR_INLINE uint32_t __brev(uint32_t x) {
    uint32_t r = 0;
    for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
    return r;
}
template <class T>
EMULATOR_INLINE constexpr T min(T a, T b) {
    return b < a ? b : a;
}
template <class T>
EMULATOR_INLINE constexpr T max(T a, T b) {
    return a < b ? b : a;
}

#include "emulator_registry.h"
