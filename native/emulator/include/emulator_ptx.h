// emulator_ptx.h: what ptx.cuh calls in the emulator. Shared addresses are 32-bit, as PTX takes them.
#pragma once
#include "emulator.h"

struct TensorMap;
struct bf16;
struct f16;
struct e4m3;
struct e5m2;

namespace emulator {

uint32_t sharedAddress(const void* p);

uint4 load128(const void* p);
void store128(void* p, uint4 value);

void cpAsync(uint32_t shared, const void* global, uint32_t bytes, uint32_t readBytes);
void cpAsyncCommit();
void cpAsyncWait(unsigned groups);

void ldmatrix(uint32_t* registers, int count, bool transposed, uint32_t shared, Site at);
void stmatrix(const uint32_t* registers, int count, bool transposed, uint32_t shared, Site at);
void mmaBf16(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);
void mmaF16(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);
void mmaE4m3(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);
void mmaE5m2(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);
void mmaE4m3E5m2(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);
void mmaE5m2E4m3(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);
void mmaS8(int* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at);

void mbarInit(uint32_t bar, uint32_t arrivals);
void mbarArrive(uint32_t bar, uint32_t expectedBytes);
void mbarWait(uint32_t bar, uint32_t parity);
void fenceMbarInit();
void fenceProxyAsync();

void bulkLoad(uint32_t shared, const void* global, uint32_t bytes, uint32_t bar);
void bulkStore(void* global, uint32_t shared, uint32_t bytes);
void tmaLoad(uint32_t shared, const TensorMap* map, const int* coordinates, int rank, uint32_t bar);
void tmaStore(const TensorMap* map, uint32_t shared, const int* coordinates, int rank, bool add);
void bulkCommit();
void bulkWait(unsigned groups, bool onlyRead);

enum class Operand { BF16, F16, E4M3, E5M2 };
template <class T>
constexpr Operand OPERAND = Operand::BF16;
template <>
inline constexpr Operand OPERAND<f16> = Operand::F16;
template <>
inline constexpr Operand OPERAND<e4m3> = Operand::E4M3;
template <>
inline constexpr Operand OPERAND<e5m2> = Operand::E5M2;
constexpr bool hasEightBits(Operand type) {
    return type == Operand::E4M3 || type == Operand::E5M2;
}

// One instruction as a thread issues it. `registers` is null when a lies in shared memory.
struct WgmmaIssue {
    Operand typeA, typeB;
    int n;
    bool transposeA, transposeB, accumulate;
    const uint32_t* registers;
    uint64_t a, b;
};
void wgmma(float* d, const WgmmaIssue& issue);
void wgmmaFence();
void wgmmaCommit();
void wgmmaWait(unsigned groups);

template <class T, int N, int TRANSPOSE_A, int TRANSPOSE_B>
EMULATOR_INLINE void wgmmaShared(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    static_assert(N % 8 == 0 && N <= 256);
    static_assert(OPERAND<T> != Operand::E4M3 || (!TRANSPOSE_A && !TRANSPOSE_B), "8-bit operands are K-major");
    wgmma(d, {OPERAND<T>, OPERAND<T>, N, TRANSPOSE_A != 0, TRANSPOSE_B != 0, accumulate, nullptr, a, b});
}
template <class A, class B, int N>
EMULATOR_INLINE void wgmmaF8(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    static_assert(N == 128 && hasEightBits(OPERAND<A>) && hasEightBits(OPERAND<B>));
    wgmma(d, {OPERAND<A>, OPERAND<B>, N, false, false, accumulate, nullptr, a, b});
}
template <class T, int N, int TRANSPOSE_B>
EMULATOR_INLINE void wgmmaRegisters(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    static_assert(N % 8 == 0 && N <= 256);
    static_assert(OPERAND<T> != Operand::E4M3 || !TRANSPOSE_B, "8-bit operands are K-major");
    wgmma(d, {OPERAND<T>, OPERAND<T>, N, false, TRANSPOSE_B != 0, accumulate, a, 0, b});
}

}  // namespace emulator
