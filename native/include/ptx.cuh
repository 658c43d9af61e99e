// ptx.cuh: the only place with PTX. Every wrapper has two bodies: inline PTX for the device, and a call of the
// emulator. What a wrapper does is tested once on both (native/emulator/probes); kernels are then tested on the
// emulator alone. Instructions of sm_90a are in ptx_hopper.cuh.
//
// Collective operations take the place they are called from as a last, defaulted parameter (AT): the emulator checks
// that the threads that meet in one came from the same place.
#pragma once

#ifdef __CUDACC__
#define PTX __device__ __forceinline__
#define AT
#else
#include "emulator_ptx.h"
#define PTX static inline __attribute__((always_inline))
#define AT , emulator::Site at = emulator::Site::here()
#endif

// Whether there are instructions for 8-bit floats.
#if !defined(__CUDACC__) || __CUDA_ARCH__ >= 890
#define SM89_CODE 1
#else
#define SM89_CODE 0
#endif

namespace ptx {

// ---- addresses

// The 32-bit shared-memory address that the instructions below take.
PTX uint32_t shared_address(const void* p) {
#ifdef __CUDACC__
    return (uint32_t)__cvta_generic_to_shared(p);
#else
    return emulator::sharedAddress(p);
#endif
}

// ---- conversions

PTX uint16_t f32_to_bf16(float x) {
#ifdef __CUDACC__
    uint16_t r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
    return r;
#else
    return emulator::bf16FromFloat(x);
#endif
}

PTX uint16_t f32_to_f16(float x) {
#ifdef __CUDACC__
    uint16_t r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x));
    return r;
#else
    return emulator::f16FromFloat(x);
#endif
}

PTX float f16_to_f32(uint16_t x) {
#ifdef __CUDACC__
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x));
    return r;
#else
    return emulator::floatFromF16(x);
#endif
}

// Two values in one word, `lo` in the lower half.
PTX uint32_t pack_bf16(float lo, float hi) {
#ifdef __CUDACC__
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
#else
    return emulator::bf16FromFloat(lo) | (uint32_t)emulator::bf16FromFloat(hi) << 16;
#endif
}

PTX uint32_t pack_f16(float lo, float hi) {
#ifdef __CUDACC__
    uint32_t r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
#else
    return emulator::f16FromFloat(lo) | (uint32_t)emulator::f16FromFloat(hi) << 16;
#endif
}

// Two values in 16 bits, `lo` in the lower byte, saturating. sm_89 and later.
PTX uint16_t pack_e4m3(float lo, float hi) {
#ifdef __CUDACC__
    uint16_t r;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(hi), "f"(lo));
    return r;
#else
    return (uint16_t)(emulator::e4m3FromFloat(lo) | emulator::e4m3FromFloat(hi) << 8);
#endif
}

PTX uint16_t pack_e5m2(float lo, float hi) {
#ifdef __CUDACC__
    uint16_t r;
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(hi), "f"(lo));
    return r;
#else
    return (uint16_t)(emulator::e5m2FromFloat(lo) | emulator::e5m2FromFloat(hi) << 8);
#endif
}

// The two e4m3 of `x` as two f16. sm_89 and later.
PTX uint32_t e4m3x2_to_f16x2(uint16_t x) {
#ifdef __CUDACC__
    uint32_t r;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"(x));
    return r;
#else
    return emulator::f16FromFloat(emulator::floatFromE4m3(x & 0xff)) |
           (uint32_t)emulator::f16FromFloat(emulator::floatFromE4m3(x >> 8)) << 16;
#endif
}

// ---- arithmetic

// 2^x, denormal inputs and results are 0; relative error 2^-22.
PTX float ex2(float x) {
#ifdef __CUDACC__
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#else
    return emulator::flushed(exp2f(emulator::flushed(x)));
#endif
}

// 1 / x, denormal inputs and results are 0; relative error 2^-23.
PTX float rcp(float x) {
#ifdef __CUDACC__
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#else
    return emulator::flushed(1.f / emulator::flushed(x));
#endif
}

// log2(x), denormals as in ex2.
PTX float lg2(float x) {
#ifdef __CUDACC__
    float r;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#else
    return log2f(emulator::flushed(x));
#endif
}

// ---- 16-byte accesses to global (or shared) memory; the address is a multiple of 16

PTX uint4 ld128(const void* p) {
#ifdef __CUDACC__
    return *reinterpret_cast<const uint4*>(p);
#else
    return emulator::load128(p);
#endif
}

// Global memory that no thread of this launch writes and that is not read again: not kept in L1.
PTX uint4 ld128_once(const void* p) {
#ifdef __CUDACC__
    uint4 r;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
                 : "l"(p));
    return r;
#else
    return emulator::load128(p);
#endif
}

PTX void st128(void* p, uint4 v) {
#ifdef __CUDACC__
    *reinterpret_cast<uint4*>(p) = v;
#else
    emulator::store128(p, v);
#endif
}

// Global memory that is not read again soon: first to leave the caches.
PTX void st128_once(void* p, uint4 v) {
#ifdef __CUDACC__
    asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
#else
    emulator::store128(p, v);
#endif
}

// ---- cp.async: global to shared memory, not waiting

// 16 bytes; the bytes past `bytes` are filled with zero and not read.
PTX void cp_async16(uint32_t shared, const void* global, uint32_t bytes = 16) {
#ifdef __CUDACC__
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
#else
    emulator::cpAsync(shared, global, 16, bytes);
#endif
}

// 4 bytes (0 or 4 of them read): for rows that are not 16-byte aligned.
PTX void cp_async4(uint32_t shared, const void* global, uint32_t bytes = 4) {
#ifdef __CUDACC__
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
#else
    emulator::cpAsync(shared, global, 4, bytes);
#endif
}

PTX void cp_async_commit() {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    emulator::cpAsyncCommit();
#endif
}

// Until at most N of this thread's groups are under way. Other threads see the data after a barrier that follows.
template <int N>
PTX void cp_async_wait() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#else
    emulator::cpAsyncWait(N);
#endif
}

// ---- ldmatrix: 8x8 matrices of 16-bit elements. Lane l gives the address of row l % 8 of matrix l / 8; register m of
// lane l receives elements (l / 4, 2 (l % 4)) and the next of matrix m; transposed with _trans.

PTX void ldmatrix_x4(uint32_t (&r)[4], uint32_t shared AT) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared)
                 : "memory");
#else
    emulator::ldmatrix(r, 4, false, shared, at);
#endif
}

PTX void ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t shared AT) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared)
                 : "memory");
#else
    emulator::ldmatrix(r, 4, true, shared, at);
#endif
}

PTX void ldmatrix_x2(uint32_t (&r)[2], uint32_t shared AT) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared)
                 : "memory");
#else
    emulator::ldmatrix(r, 2, false, shared, at);
#endif
}

PTX void ldmatrix_x2_trans(uint32_t (&r)[2], uint32_t shared AT) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared)
                 : "memory");
#else
    emulator::ldmatrix(r, 2, true, shared, at);
#endif
}

// The reverse, sm_90 and later: register m of each lane goes to matrix m.
PTX void stmatrix_x4(uint32_t shared, const uint32_t (&r)[4] AT) {
#ifdef __CUDACC__
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(r[0]), "r"(r[1]),
                 "r"(r[2]), "r"(r[3])
                 : "memory");
#else
    emulator::stmatrix(r, 4, false, shared, at);
#endif
}

PTX void stmatrix_x4_trans(uint32_t shared, const uint32_t (&r)[4] AT) {
#ifdef __CUDACC__
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(r[0]),
                 "r"(r[1]), "r"(r[2]), "r"(r[3])
                 : "memory");
#else
    emulator::stmatrix(r, 4, true, shared, at);
#endif
}

// ---- mma.sync: d += a b, per warp; a is 16 x k by rows, b is k x 8 by columns. With g = lane / 4, t = lane % 4:
// d[i] is element (g + 8 (i / 2), 2 t + i % 2).

#ifdef __CUDACC__
#define MMA(INSTRUCTION, KIND)                                                                                        \
    asm volatile("mma.sync.aligned." INSTRUCTION " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"   \
                 : "+" KIND(d[0]), "+" KIND(d[1]), "+" KIND(d[2]), "+" KIND(d[3])                                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
#endif

// k = 16. a[i] holds row g + 8 (i % 2), columns 2 t + 8 (i / 2) and the next; b[i] holds column g, rows 2 t + 8 i and
// the next.
PTX void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k16.row.col.f32.bf16.bf16.f32", "f");
#else
    emulator::mmaBf16(d, a, b0, b1, at);
#endif
}

PTX void mma_f16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k16.row.col.f32.f16.f16.f32", "f");
#else
    emulator::mmaF16(d, a, b0, b1, at);
#endif
}

// k = 32, four 8-bit elements per register: a[i] holds columns 4 t + 16 (i / 2) to + 3. sm_89 and later.
PTX void mma_e4m3(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k32.row.col.f32.e4m3.e4m3.f32", "f");
#else
    emulator::mmaE4m3(d, a, b0, b1, at);
#endif
}

PTX void mma_e5m2(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k32.row.col.f32.e5m2.e5m2.f32", "f");
#else
    emulator::mmaE5m2(d, a, b0, b1, at);
#endif
}

// a is of one type, b of the other.
PTX void mma_e4m3_e5m2(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k32.row.col.f32.e4m3.e5m2.f32", "f");
#else
    emulator::mmaE4m3E5m2(d, a, b0, b1, at);
#endif
}

PTX void mma_e5m2_e4m3(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k32.row.col.f32.e5m2.e4m3.f32", "f");
#else
    emulator::mmaE5m2E4m3(d, a, b0, b1, at);
#endif
}

PTX void mma_s8(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1 AT) {
#ifdef __CUDACC__
    MMA("m16n8k32.row.col.s32.s8.s8.s32", "r");
#else
    emulator::mmaS8(d, a, b0, b1, at);
#endif
}
#undef MMA

// ---- named barriers 1 to 15 (0 is __syncthreads), `threads` a multiple of 32

PTX void bar_sync(int id, uint32_t threads AT) {
#ifdef __CUDACC__
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
    emulator::barrierSync(id, threads, 0, at);
#endif
}

// Counts this thread in without waiting.
PTX void bar_arrive(int id, uint32_t threads AT) {
#ifdef __CUDACC__
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
    emulator::barrierArrive(id, threads, at);
#endif
}

}  // namespace ptx
