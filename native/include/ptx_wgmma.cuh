// ptx_wgmma.cuh: wgmma of sm_90a, the matrix product of a warpgroup (128 threads, the first a multiple of 128).
#pragma once
#include "ptx_hopper.cuh"

struct bf16;
struct f16;
struct e4m3;
struct e5m2;

namespace ptx {

// ---- descriptors of operands in shared memory

enum Swizzle { SWIZZLE_NONE = 0, SWIZZLE_128 = 1, SWIZZLE_64 = 2, SWIZZLE_32 = 3 };

// Distances in bytes; all are multiples of 16. With S the swizzle's bytes (16 for none):
//   K-major (a row of the tile is contiguous along k): groups of 8 rows of S bytes are `stride` apart; `leading` is the
//       distance of 16-byte columns without swizzle and unused otherwise.
//   MN-major (contiguous along m or n): blocks of S bytes along m or n, each 8 k deep (8 S bytes), are `leading` apart
//       along m or n and `stride` apart along k; without swizzle the two change roles.
PTX uint64_t wgmma_descriptor(uint32_t shared, uint32_t leading, uint32_t stride, Swizzle swizzle) {
    return (uint64_t)((shared & 0x3ffff) >> 4) | (uint64_t)((leading & 0x3ffff) >> 4) << 16 |
           (uint64_t)((stride & 0x3ffff) >> 4) << 32 | (uint64_t)swizzle << 62;
}

// A K-major tile as TMA writes it with 128-byte swizzle and a box of 128 bytes: rows of 128 bytes, one after another.
// Step along k by adding bytes to `shared` (32 for one k = 16 step of 16-bit elements).
PTX uint64_t wgmma_k_major_128(uint32_t shared) {
    return wgmma_descriptor(shared, 16, 1024, SWIZZLE_128);
}

// An MN-major tile as TMA writes it with 128-byte swizzle: k rows of 128 bytes (64 elements of m or n) form a block;
// blocks of further 64 elements are `block_bytes` apart. Step along k by adding 128 bytes per k (2048 for k = 16).
PTX uint64_t wgmma_mn_major_128(uint32_t shared, uint32_t block_bytes) {
    return wgmma_descriptor(shared, block_bytes, 1024, SWIZZLE_128);
}

// ---- order

// Before the first wgmma after the accumulators (or operand registers) were touched by other instructions.
PTX void wgmma_fence() {
#ifdef __CUDACC__
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
    emulator::wgmmaFence();
#endif
}

PTX void wgmma_commit() {
#ifdef __CUDACC__
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
    emulator::wgmmaCommit();
#endif
}

// Until at most N groups are under way. The accumulators that become readable are named, so that the compiler moves no
// use of them above this point; call wgmma_done for more of them.
template <int N, int R>
PTX void wgmma_wait(float (&d)[R]) {
#ifdef __CUDACC__
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
#pragma unroll
    for (int i = 0; i < R; i++) asm volatile("" : "+f"(d[i])::"memory");
#else
    (void)d;
    emulator::wgmmaWait(N);
#endif
}

// Until at most N groups are under way, when no accumulators become readable by it: it frees operands.
template <int N>
PTX void wgmma_wait() {
#ifdef __CUDACC__
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
#else
    emulator::wgmmaWait(N);
#endif
}

template <int R>
PTX void wgmma_done(float (&d)[R]) {
#ifdef __CUDACC__
#pragma unroll
    for (int i = 0; i < R; i++) asm volatile("" : "+f"(d[i])::"memory");
#else
    (void)d;
#endif
}

// ---- the instructions, as written for the device

#ifdef __CUDACC__

#define WGMMA_REGS_0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define WGMMA_REGS_1 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WGMMA_REGS_2 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define WGMMA_REGS_3 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WGMMA_REGS_4 "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define WGMMA_REGS_5 "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define WGMMA_REGS_6 "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define WGMMA_REGS_7 "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define WGMMA_OUT_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_OUT_8(i) WGMMA_OUT_4(i), WGMMA_OUT_4(i + 4)
#define WGMMA_OUT_16(i) WGMMA_OUT_8(i), WGMMA_OUT_8(i + 8)
#define WGMMA_D_8 "%0, %1, %2, %3"
#define WGMMA_OUT_OF_8 WGMMA_OUT_4(0)
#define WGMMA_D_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define WGMMA_OUT_OF_16 WGMMA_OUT_8(0)
#define WGMMA_D_32 WGMMA_REGS_0
#define WGMMA_OUT_OF_32 WGMMA_OUT_16(0)
#define WGMMA_D_64 WGMMA_REGS_0 ", " WGMMA_REGS_1
#define WGMMA_OUT_OF_64 WGMMA_OUT_16(0), WGMMA_OUT_16(16)
#define WGMMA_D_96 WGMMA_REGS_0 ", " WGMMA_REGS_1 ", " WGMMA_REGS_2
#define WGMMA_OUT_OF_96 WGMMA_OUT_16(0), WGMMA_OUT_16(16), WGMMA_OUT_16(32)
#define WGMMA_D_128 WGMMA_REGS_0 ", " WGMMA_REGS_1 ", " WGMMA_REGS_2 ", " WGMMA_REGS_3
#define WGMMA_OUT_OF_128 WGMMA_OUT_16(0), WGMMA_OUT_16(16), WGMMA_OUT_16(32), WGMMA_OUT_16(48)
#define WGMMA_D_160 \
    WGMMA_REGS_0 ", " WGMMA_REGS_1 ", " WGMMA_REGS_2 ", " WGMMA_REGS_3 ", " WGMMA_REGS_4
#define WGMMA_OUT_OF_160 WGMMA_OUT_16(0), WGMMA_OUT_16(16), WGMMA_OUT_16(32), WGMMA_OUT_16(48), WGMMA_OUT_16(64)
#define WGMMA_D_192 \
    WGMMA_REGS_0 ", " WGMMA_REGS_1 ", " WGMMA_REGS_2 ", " WGMMA_REGS_3 ", " WGMMA_REGS_4 ", \
    " WGMMA_REGS_5
#define WGMMA_OUT_OF_192 \
    WGMMA_OUT_16(0), WGMMA_OUT_16(16), WGMMA_OUT_16(32), WGMMA_OUT_16(48), WGMMA_OUT_16(64), WGMMA_OUT_16(80)
#define WGMMA_D_256 \
    WGMMA_REGS_0 ", " WGMMA_REGS_1 ", " WGMMA_REGS_2 ", " WGMMA_REGS_3 ", " WGMMA_REGS_4 ", \
    " WGMMA_REGS_5 ", " WGMMA_REGS_6 ", " WGMMA_REGS_7
#define WGMMA_OUT_OF_256 \
    WGMMA_OUT_16(0), WGMMA_OUT_16(16), WGMMA_OUT_16(32), WGMMA_OUT_16(48), WGMMA_OUT_16(64), WGMMA_OUT_16(80), \
    WGMMA_OUT_16(96), WGMMA_OUT_16(112)

// One struct per element type and N, with both forms: a from shared memory, a from registers. The numbers are those of
// the operands after the N / 2 accumulators.
template <class T, int N>
struct Wgmma;

#define WGMMA_ACCUMULATE(p) "{\n.reg .pred p;\nsetp.ne.b32 p, " p ", 0;\n"

#define WGMMA_16_BIT(T, N, p0, p1, p2, p3, p4, p5, p6)                                                                \
    template <>                                                                                                       \
    struct Wgmma<T, N> {                                                                                              \
        template <int TRANS_A, int TRANS_B>                                                                           \
        PTX static void shared(float (&d)[N / 2], uint64_t a, uint64_t b, int accumulate) {                           \
            asm volatile(WGMMA_ACCUMULATE(p2)                                                                         \
                "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #T "." #T " {" WGMMA_D_##N "}, " p0 ", " p1         \
                ", p, 1, 1, " p3 ", " p4 ";\n}\n"                                                                     \
                : WGMMA_OUT_OF_##N : "l"(a), "l"(b), "r"(accumulate), "n"(TRANS_A), "n"(TRANS_B));                    \
        }                                                                                                             \
        template <int TRANS_B>                                                                                        \
        PTX static void registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, int accumulate) {            \
            asm volatile(WGMMA_ACCUMULATE(p5)                                                                         \
                "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #T "." #T " {" WGMMA_D_##N "}, {" p0 ", " p1        \
                ", " p2 ", " p3 "}, " p4 ", p, 1, 1, " p6 ";\n}\n"                                                    \
                : WGMMA_OUT_OF_##N                                                                                    \
                : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(TRANS_B));                 \
        }                                                                                                             \
    };

// 8-bit operands are always K-major: no transposition.
#define WGMMA_8_BIT(T, N, p0, p1, p2, p3, p4, p5, p6)                                                                 \
    template <>                                                                                                       \
    struct Wgmma<T, N> {                                                                                              \
        template <int TRANS_A, int TRANS_B>                                                                           \
        PTX static void shared(float (&d)[N / 2], uint64_t a, uint64_t b, int accumulate) {                           \
            asm volatile(WGMMA_ACCUMULATE(p2)                                                                         \
                "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32." #T "." #T " {" WGMMA_D_##N "}, " p0 ", " p1         \
                ", p, 1, 1;\n}\n"                                                                                     \
                : WGMMA_OUT_OF_##N : "l"(a), "l"(b), "r"(accumulate));                                                \
        }                                                                                                             \
        template <int TRANS_B>                                                                                        \
        PTX static void registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, int accumulate) {            \
            asm volatile(WGMMA_ACCUMULATE(p5)                                                                         \
                "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32." #T "." #T " {" WGMMA_D_##N "}, {" p0 ", " p1        \
                ", " p2 ", " p3 "}, " p4 ", p, 1, 1;\n}\n"                                                            \
                : WGMMA_OUT_OF_##N                                                                                    \
                : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));                               \
        }                                                                                                             \
    };

#define WGMMA_TYPES(N, ...)                                                                                           \
    WGMMA_16_BIT(bf16, N, __VA_ARGS__)                                                                                \
    WGMMA_16_BIT(f16, N, __VA_ARGS__)                                                                                 \
    WGMMA_8_BIT(e4m3, N, __VA_ARGS__)

WGMMA_TYPES(8, "%4", "%5", "%6", "%7", "%8", "%9", "%10")
WGMMA_TYPES(16, "%8", "%9", "%10", "%11", "%12", "%13", "%14")
WGMMA_TYPES(32, "%16", "%17", "%18", "%19", "%20", "%21", "%22")
WGMMA_TYPES(64, "%32", "%33", "%34", "%35", "%36", "%37", "%38")
WGMMA_TYPES(96, "%48", "%49", "%50", "%51", "%52", "%53", "%54")
WGMMA_TYPES(128, "%64", "%65", "%66", "%67", "%68", "%69", "%70")
WGMMA_TYPES(160, "%80", "%81", "%82", "%83", "%84", "%85", "%86")
WGMMA_TYPES(192, "%96", "%97", "%98", "%99", "%100", "%101", "%102")
WGMMA_TYPES(256, "%128", "%129", "%130", "%131", "%132", "%133", "%134")

#undef WGMMA_TYPES
#undef WGMMA_16_BIT
#undef WGMMA_8_BIT

// 8-bit floats of two types; N = 128 alone, which is all that is used.
template <class A, class B, int N>
struct WgmmaF8;

#define WGMMA_F8(A, B)                                                                                                \
    template <>                                                                                                       \
    struct WgmmaF8<A, B, 128> {                                                                                       \
        PTX static void shared(float (&d)[64], uint64_t a, uint64_t b, int accumulate) {                              \
            asm volatile(WGMMA_ACCUMULATE("%66")                                                                      \
                "wgmma.mma_async.sync.aligned.m64n128k32.f32." #A "." #B " {" WGMMA_D_128 "}, %64, %65, p, 1, 1;\n}\n" \
                : WGMMA_OUT_OF_128 : "l"(a), "l"(b), "r"(accumulate));                                                \
        }                                                                                                             \
    };
WGMMA_F8(e4m3, e4m3)
WGMMA_F8(e4m3, e5m2)
WGMMA_F8(e5m2, e4m3)
WGMMA_F8(e5m2, e5m2)
#undef WGMMA_F8
#endif

// ---- d (64 x N) = a (64 x k) b (k x N) (+ d): k is 16 for bf16 and f16, 32 for e4m3. With w = warp of the warpgroup,
// g = lane / 4, t = lane % 4: d[i] is element (16 w + g + 8 (i / 2 % 2), 8 (i / 4) + 2 t + i % 2).
// Asynchronous: d may not be touched between this and wgmma_wait. N: 8, 16, 32, 64, 96, 128, 160, 192, 256.

// Both operands in shared memory. TRANS_A, TRANS_B: 0 for a K-major, 1 for an MN-major operand (16-bit types only).
template <class T, int N, int TRANS_A = 0, int TRANS_B = 0>
PTX void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
#ifdef __CUDACC__
    Wgmma<T, N>::template shared<TRANS_A, TRANS_B>(d, a, b, accumulate);
#else
    emulator::wgmmaShared<T, N, TRANS_A, TRANS_B>(d, a, b, accumulate);
#endif
}

// a and b of 8-bit floats, each of its type, in shared memory; k is 32, N 128.
template <class A, class B, int N>
PTX void wgmma_f8(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
#ifdef __CUDACC__
    WgmmaF8<A, B, N>::shared(d, a, b, accumulate);
#else
    emulator::wgmmaF8<A, B, N>(d, a, b, accumulate);
#endif
}

// a in registers: a[i] holds rows 16 w + g + 8 (i % 2), the columns of mma.sync's a.
template <class T, int N, int TRANS_B = 0>
PTX void wgmma_registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
#ifdef __CUDACC__
    Wgmma<T, N>::template registers<TRANS_B>(d, a, b, accumulate);
#else
    emulator::wgmmaRegisters<T, N, TRANS_B>(d, a, b, accumulate);
#endif
}

}  // namespace ptx
