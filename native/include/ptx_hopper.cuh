// ptx_hopper.cuh: PTX of sm_90a: mbarrier, bulk and tensor copies (TMA); wgmma is in ptx_wgmma.cuh. The wrappers may be
// named anywhere; code that calls them is guarded by `#if SM90A_CODE` inside the body of its kernel.
#pragma once
#include "ptx.cuh"

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define SM90A_CODE 1
#else
#define SM90A_CODE 0
#endif

// What cuTensorMapEncodeTiled fills in; a kernel takes it as `const __grid_constant__ TensorMap map`.
struct alignas(64) TensorMap {
    uint64_t opaque[16];
};

namespace ptx {

// ---- mbarrier: 8 bytes of shared memory that count arrivals and bytes of a phase

PTX void mbar_init(uint32_t bar, uint32_t arrivals) {
#ifdef __CUDACC__
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(bar), "r"(arrivals) : "memory");
#else
    emulator::mbarInit(bar, arrivals);
#endif
}

// Makes initialised barriers visible to the copy engine; before the block barrier that announces them.
PTX void fence_mbar_init() {
#ifdef __CUDACC__
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#else
    emulator::fenceMbarInit();
#endif
}

PTX void mbar_arrive(uint32_t bar) {
#ifdef __CUDACC__
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(bar) : "memory");
#else
    emulator::mbarArrive(bar, 0);
#endif
}

// Arrives, and adds `bytes` to what copies must still deliver before the phase completes.
PTX void mbar_arrive_expect(uint32_t bar, uint32_t bytes) {
#ifdef __CUDACC__
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
#else
    emulator::mbarArrive(bar, bytes);
#endif
}

// Until the phase of this parity has completed (the first phase has parity 0). Waiting for parity 1 of a new barrier
// returns at once.
PTX void mbar_wait(uint32_t bar, uint32_t parity) {
#ifdef __CUDACC__
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n"
        "}" ::"r"(bar),
        "r"(parity)
        : "memory");
#else
    emulator::mbarWait(bar, parity);
#endif
}

// Orders this thread's ordinary writes to shared memory before later reads of the copy engine and of wgmma.
PTX void fence_proxy_async() {
#ifdef __CUDACC__
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#else
    emulator::fenceProxyAsync();
#endif
}

// ---- bulk copies. Sizes and addresses are multiples of 16; a tile's shared address is a multiple of 128, of 1024 with
// the 128-byte swizzle.

// `bytes` of contiguous global memory; completes on `bar`.
PTX void bulk_load(uint32_t shared, const void* global, uint32_t bytes, uint32_t bar) {
#ifdef __CUDACC__
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared),
        "l"(global), "r"(bytes), "r"(bar)
        : "memory");
#else
    emulator::bulkLoad(shared, global, bytes, bar);
#endif
}

// Part of a bulk group: see bulk_commit.
PTX void bulk_store(void* global, uint32_t shared, uint32_t bytes) {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global), "r"(shared), "r"(bytes)
                 : "memory");
#else
    emulator::bulkStore(global, shared, bytes);
#endif
}

// Loads the box at coordinates (x, y, ...), x innermost, in elements; what lies outside the tensor is 0 and counts as
// delivered. Completes on `bar`.
PTX void tma_load_2d(uint32_t shared, const TensorMap* map, int x, int y, uint32_t bar) {
#ifdef __CUDACC__
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared),
        "l"(map), "r"(bar), "r"(x), "r"(y)
        : "memory");
#else
    const int c[2] = {x, y};
    emulator::tmaLoad(shared, map, c, 2, bar);
#endif
}

PTX void tma_load_3d(uint32_t shared, const TensorMap* map, int x, int y, int z, uint32_t bar) {
#ifdef __CUDACC__
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared),
        "l"(map), "r"(bar), "r"(x), "r"(y), "r"(z)
        : "memory");
#else
    const int c[3] = {x, y, z};
    emulator::tmaLoad(shared, map, c, 3, bar);
#endif
}

PTX void tma_load_4d(uint32_t shared, const TensorMap* map, int x, int y, int z, int u, uint32_t bar) {
#ifdef __CUDACC__
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared),
        "l"(map), "r"(bar), "r"(x), "r"(y), "r"(z), "r"(u)
        : "memory");
#else
    const int c[4] = {x, y, z, u};
    emulator::tmaLoad(shared, map, c, 4, bar);
#endif
}

PTX void tma_load_5d(uint32_t shared, const TensorMap* map, int x, int y, int z, int u, int v, uint32_t bar) {
#ifdef __CUDACC__
    asm volatile(
        "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(shared),
        "l"(map), "r"(bar), "r"(x), "r"(y), "r"(z), "r"(u), "r"(v)
        : "memory");
#else
    const int c[5] = {x, y, z, u, v};
    emulator::tmaLoad(shared, map, c, 5, bar);
#endif
}

// Stores the box at shared memory to (x, y, ...); what lies outside the tensor is not written. Part of a bulk group.
// The threads that wrote the box call fence_proxy_async before the barrier that lets one thread store it.
PTX void tma_store_2d(const TensorMap* map, uint32_t shared, int x, int y) {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
                 "r"(shared), "r"(x), "r"(y)
                 : "memory");
#else
    const int c[2] = {x, y};
    emulator::tmaStore(map, shared, c, 2, false);
#endif
}

PTX void tma_store_3d(const TensorMap* map, uint32_t shared, int x, int y, int z) {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(map),
                 "r"(shared), "r"(x), "r"(y), "r"(z)
                 : "memory");
#else
    const int c[3] = {x, y, z};
    emulator::tmaStore(map, shared, c, 3, false);
#endif
}

PTX void tma_store_4d(const TensorMap* map, uint32_t shared, int x, int y, int z, int u) {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(map),
                 "r"(shared), "r"(x), "r"(y), "r"(z), "r"(u)
                 : "memory");
#else
    const int c[4] = {x, y, z, u};
    emulator::tmaStore(map, shared, c, 4, false);
#endif
}

PTX void tma_store_5d(const TensorMap* map, uint32_t shared, int x, int y, int z, int u, int v) {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.tensor.5d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5, %6}], [%1];" ::"l"(map),
                 "r"(shared), "r"(x), "r"(y), "r"(z), "r"(u), "r"(v)
                 : "memory");
#else
    const int c[5] = {x, y, z, u, v};
    emulator::tmaStore(map, shared, c, 5, false);
#endif
}

// Adds the box to the tensor instead; f32 or the 16-bit floats, by the map's type. Order of additions between blocks is
// not fixed: not for deterministic results.
PTX void tma_add_2d(const TensorMap* map, uint32_t shared, int x, int y) {
#ifdef __CUDACC__
    asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
                 "r"(shared), "r"(x), "r"(y)
                 : "memory");
#else
    const int c[2] = {x, y};
    emulator::tmaStore(map, shared, c, 2, true);
#endif
}

// Closes this thread's group of bulk stores.
PTX void bulk_commit() {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#else
    emulator::bulkCommit();
#endif
}

// Until at most N of this thread's groups still read shared memory: it may be overwritten.
template <int N>
PTX void bulk_wait_read() {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
#else
    emulator::bulkWait(N, true);
#endif
}

// Until at most N of this thread's groups are still under way: the rest is written.
template <int N>
PTX void bulk_wait() {
#ifdef __CUDACC__
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
#else
    emulator::bulkWait(N, false);
#endif
}

// Brings a tensor map (a kernel parameter) near.
PTX void prefetch_map(const TensorMap* map) {
#ifdef __CUDACC__
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#else
    (void)map;
#endif
}

// ---- registers of a warpgroup (all 128 threads): N is a multiple of 8 from 24 to 256
template <int N>
PTX void setmaxnreg_inc() {
#ifdef __CUDACC__
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
#else
    static_assert(N % 8 == 0 && N >= 24 && N <= 256, "setmaxnreg");
#endif
}

template <int N>
PTX void setmaxnreg_dec() {
#ifdef __CUDACC__
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
#else
    static_assert(N % 8 == 0 && N >= 24 && N <= 256, "setmaxnreg");
#endif
}

}  // namespace ptx
