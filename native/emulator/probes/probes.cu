// probes.cu: every wrapper of ptx*.cuh once, on fixed inputs, with all results written out. The same source runs on the
// emulator and on a device; probes.txt holds the digest of the emulator's results, and where a device's differs, a
// wrapper's two bodies do not do the same. All values are small integers or exact in their format, so that no rounding
// depends on the order of a sum.
//
// Every probe is launched as one block with (out, in, load, store): 16384 words of zeros, 65536 words of inputs, and
// maps of both as tensors of 16-bit elements: see probes_test.cpp.
#include "kernel.cuh"
#include "ptx_packed.cuh"
#include "ptx_wgmma.cuh"

#define PROBE(name, threads, call)                                                                                    \
    KERNEL(probe_##name, threads,                                                                                     \
           (uint32_t* out, const uint32_t* in, const __grid_constant__ TensorMap load,                                \
            const __grid_constant__ TensorMap store),                                                                 \
           call)

#define PROBE_WGMMA(name, call)                                                                                       \
    KERNEL(probe_##name, BOUNDS(128, 1),                                                                              \
           (uint32_t* out, const uint32_t* in, const __grid_constant__ TensorMap load,                                \
            const __grid_constant__ TensorMap store),                                                                 \
           call)

#if !defined(__CUDACC__) || __CUDA_ARCH__ >= 900
#define SM90_CODE 1
#else
#define SM90_CODE 0
#endif

// Where in the inputs the small integers of each format lie, in words; and any bits at all.
constexpr int IN_BF16 = 0, IN_F16 = 16384, IN_E4M3 = 32768, IN_S8 = 40960, IN_ANY = 49152;

// ---- conversions and arithmetic

template <class F>
DEVICE void each(uint32_t* out, const uint32_t* in, F f) {
    for (int i = threadIdx.x; i < 16384; i += blockDim.x) out[i] = f(in[IN_ANY + i]);
}
PROBE(f32_to_bf16, 128, each(out, in, [](uint32_t x) { return (uint32_t)ptx::f32_to_bf16(__uint_as_float(x)); }))
PROBE(f32_to_f16, 128, each(out, in, [](uint32_t x) { return (uint32_t)ptx::f32_to_f16(__uint_as_float(x)); }))
PROBE(pack_bf16, 128, each(out, in, [](uint32_t x) { return ptx::pack_bf16(__uint_as_float(x), 1.f); }))
PROBE(pack_f16, 128, each(out, in, [](uint32_t x) { return ptx::pack_f16(__uint_as_float(x), 1.f); }))
// A NaN's payload is nobody's business.
PROBE(f16_to_f32, 128, each(out, in, [](uint32_t x) {
          const float y = ptx::f16_to_f32((uint16_t)x);
          return y == y ? __float_as_uint(y) : 0x7fc00000u;
      }))
#if SM89_CODE
DEVICE uint32_t e4m3_of(uint32_t x) {
    return ptx::pack_e4m3(__uint_as_float(x), 2.f);
}
DEVICE uint32_t e5m2_of(uint32_t x) {
    return ptx::pack_e5m2(__uint_as_float(x), 2.f);
}
DEVICE uint32_t f16_of_e4m3(uint32_t x) {
    return ptx::e4m3x2_to_f16x2((uint16_t)x);
}
#else
DEVICE uint32_t e4m3_of(uint32_t x) {
    return x;
}
DEVICE uint32_t e5m2_of(uint32_t x) {
    return x;
}
DEVICE uint32_t f16_of_e4m3(uint32_t x) {
    return x;
}
#endif
PROBE(pack_e4m3, 128, each(out, in, [](uint32_t x) { return e4m3_of(x); }))
PROBE(pack_e5m2, 128, each(out, in, [](uint32_t x) { return e5m2_of(x); }))
PROBE(e4m3x2_to_f16x2, 128, each(out, in, [](uint32_t x) { return f16_of_e4m3(x); }))
// The approximations at points where every implementation is exact.
DEVICE float power_of_2(uint32_t x) {
    return __uint_as_float((x % 252 + 1) << 23);
}
PROBE(ex2, 128, each(out, in, [](uint32_t x) { return __float_as_uint(ptx::ex2((float)(int)(x % 253) - 126.f)); }))
PROBE(lg2, 128, each(out, in, [](uint32_t x) { return __float_as_uint(ptx::lg2(power_of_2(x))); }))
PROBE(rcp, 128, each(out, in, [](uint32_t x) { return __float_as_uint(ptx::rcp(power_of_2(x))); }))

template <class F>
DEVICE void neighbours(uint32_t* out, const uint32_t* in, F f) {
    for (int i = threadIdx.x; i < 16383; i += blockDim.x) out[i] = f(in[i], in[i + 1]);
}
PROBE(add_bf16x2, 128, neighbours(out, in + IN_BF16, [](uint32_t x, uint32_t y) { return ptx::add_bf16x2(x, y); }))
PROBE(add_f16x2, 128, neighbours(out, in + IN_F16, [](uint32_t x, uint32_t y) { return ptx::add_f16x2(x, y); }))

// ---- 16-byte accesses, cp.async

DEVICE void vectors(uint32_t* out, const uint32_t* in) {
    ptx::st128(out + threadIdx.x * 8, ptx::ld128(in + IN_ANY + threadIdx.x * 4));
    ptx::st128_once(out + threadIdx.x * 8 + 4, ptx::ld128_once(in + IN_ANY + 1024 + threadIdx.x * 4));
}
PROBE(vector_accesses, 128, vectors(out, in))

DEVICE void copies(uint32_t* out, const uint32_t* in) {
    DYN_SMEM(memory, 1024);
    const uint32_t to = ptx::shared_address(memory) + threadIdx.x * 32;
    const uint32_t* from = in + IN_ANY + threadIdx.x * 8;
    ptx::cp_async16(to, from, threadIdx.x % 17);  // the rest becomes 0
    ptx::cp_async_commit();
    ptx::cp_async4(to + 16, from + 4, threadIdx.x % 5);
    ptx::cp_async4(to + 20, from + 5);
    ptx::cp_async4(to + 24, from + 6, 0);
    ptx::cp_async4(to + 28, from + 7);
    ptx::cp_async_commit();
    ptx::cp_async_wait<1>();
    ptx::cp_async_wait<0>();
    for (int i = 0; i < 8; i++) out[threadIdx.x * 8 + i] = ((const uint32_t*)memory)[threadIdx.x * 8 + i];
}
PROBE(cp_async, 128, copies(out, in))

// ---- warp matrices

template <int KIND>
DEVICE void matrices(uint32_t* out, const uint32_t* in) {
    DYN_SMEM(memory, 1024);
    for (int i = 0; i < 4; i++) ((uint32_t*)memory)[threadIdx.x * 4 + i] = in[IN_ANY + threadIdx.x * 4 + i];
    __syncwarp();
    const uint32_t row = ptx::shared_address(memory) + (threadIdx.x ^ 5) * 16;
    uint32_t r[4] = {in[threadIdx.x], in[threadIdx.x + 32], in[threadIdx.x + 64], in[threadIdx.x + 96]};
    uint32_t two[2] = {0, 0};
    if (KIND == 0) ptx::ldmatrix_x4(r, row);
    if (KIND == 1) ptx::ldmatrix_x4_trans(r, row);
    if (KIND == 2) ptx::ldmatrix_x2(two, row);
    if (KIND == 3) ptx::ldmatrix_x2_trans(two, row);
#if SM90_CODE
    if (KIND == 4) ptx::stmatrix_x4(row, r);
    if (KIND == 5) ptx::stmatrix_x4_trans(row, r);
#endif
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        out[threadIdx.x * 8 + i] = KIND == 2 || KIND == 3 ? two[i % 2] : r[i];
        out[threadIdx.x * 8 + 4 + i] = ((const uint32_t*)memory)[threadIdx.x * 4 + i];
    }
}
PROBE(ldmatrix_x4, 32, matrices<0>(out, in))
PROBE(ldmatrix_x4_trans, 32, matrices<1>(out, in))
PROBE(ldmatrix_x2, 32, matrices<2>(out, in))
PROBE(ldmatrix_x2_trans, 32, matrices<3>(out, in))
PROBE(stmatrix_x4, 32, matrices<4>(out, in))
PROBE(stmatrix_x4_trans, 32, matrices<5>(out, in))

template <int KIND>
DEVICE void products(uint32_t* out, const uint32_t* in) {
    constexpr int FIRST = KIND == 0 ? IN_BF16 : KIND == 1 ? IN_F16 : KIND == 3 ? IN_S8 : IN_E4M3;
    const uint32_t* x = in + FIRST + threadIdx.x * 6;
    const uint32_t a[4] = {x[0], x[1], x[2], x[3]};
    float d[4] = {1.f, 2.f, 3.f, 4.f};
    int integers[4] = {1, 2, 3, 4};
    if (KIND == 0) ptx::mma_bf16(d, a, x[4], x[5]);
    if (KIND == 1) ptx::mma_f16(d, a, x[4], x[5]);
#if SM89_CODE
    if (KIND == 2) ptx::mma_e4m3(d, a, x[4], x[5]);
    // As E5M2 the same codes are powers of two: these sums are exact, too.
    if (KIND == 4) ptx::mma_e5m2(d, a, x[4], x[5]);
    if (KIND == 5) ptx::mma_e4m3_e5m2(d, a, x[4], x[5]);
    if (KIND == 6) ptx::mma_e5m2_e4m3(d, a, x[4], x[5]);
#endif
    if (KIND == 3) ptx::mma_s8(integers, a, x[4], x[5]);
    for (int i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = KIND == 3 ? (uint32_t)integers[i] : __float_as_uint(d[i]);
}
PROBE(mma_bf16, 32, products<0>(out, in))
PROBE(mma_f16, 32, products<1>(out, in))
PROBE(mma_e4m3, 32, products<2>(out, in))
PROBE(mma_s8, 32, products<3>(out, in))
PROBE(mma_e5m2, 32, products<4>(out, in))
PROBE(mma_e4m3_e5m2, 32, products<5>(out, in))
PROBE(mma_e5m2_e4m3, 32, products<6>(out, in))

// ---- named barriers: two warps hand a value to two others

DEVICE void handed_over(uint32_t* out, const uint32_t* in) {
    DYN_SMEM(memory, 1024);
    auto* values = (uint32_t*)memory;
    for (int turn = 0; turn < 3; turn++) {
        if (threadIdx.x < 64) {
            if (turn) ptx::bar_sync(2, 128);
            values[threadIdx.x] = in[IN_ANY + turn * 64 + threadIdx.x];
            ptx::bar_arrive(1, 128);
        } else {
            ptx::bar_sync(1, 128);
            out[turn * 64 + threadIdx.x - 64] = values[127 - threadIdx.x];
            if (turn < 2) ptx::bar_arrive(2, 128);
        }
    }
}
PROBE(named_barriers, 128, handed_over(out, in))

// ---- mbarriers and bulk copies

DEVICE void phases(uint32_t* out, const uint32_t* in) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    const uint32_t data = ptx::shared_address(memory), bar = data + 1024;
    if (threadIdx.x == 0) {
        ptx::mbar_init(bar, 65);  // 64 arrivals and the one that expects bytes
        ptx::fence_mbar_init();
    }
    __syncthreads();
    ptx::mbar_wait(bar, 1);  // the phase before the first counts as complete
    __syncthreads();         // or a late thread would wait here for the phase after the first
    for (int turn = 0; turn < 3; turn++) {
        if (threadIdx.x == 0) {
            ptx::mbar_arrive_expect(bar, 512);
            ptx::bulk_load(data, in + IN_ANY + turn * 128, 256, bar);
            ptx::bulk_load(data + 256, in + IN_ANY + turn * 128 + 1024, 256, bar);
        }
        if (threadIdx.x < 64) ptx::mbar_arrive(bar);
        ptx::mbar_wait(bar, turn & 1);
        out[turn * 128 + threadIdx.x] = ((const uint32_t*)memory)[threadIdx.x];
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        ptx::bulk_store(out + 512, data, 256);
        ptx::bulk_commit();
        ptx::bulk_store(out + 576, data + 256, 256);
        ptx::bulk_commit();
        ptx::bulk_wait_read<1>();
        ptx::bulk_wait<0>();
    }
#endif
}
PROBE(mbarrier_and_bulk, 128, phases(out, in))

// A box of rows * 128 bytes at the probe's coordinates, some of it outside: in, as it lies in shared memory, and out.
template <int RANK, int BYTES, bool ADD>
DEVICE void boxes(uint32_t* out, const TensorMap* load, const TensorMap* store) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    const uint32_t box = ptx::shared_address(memory), bar = box + BYTES;
    if (threadIdx.x == 0) {
        ptx::prefetch_map(load);
        ptx::mbar_init(bar, 1);
        ptx::fence_mbar_init();
        ptx::mbar_arrive_expect(bar, BYTES);
        if (RANK == 2) ptx::tma_load_2d(box, load, 8, -3, bar);
        if (RANK == 3) ptx::tma_load_3d(box, load, 8, -3, 1, bar);
        if (RANK == 4) ptx::tma_load_4d(box, load, 8, -3, 1, 3, bar);
        if (RANK == 5) ptx::tma_load_5d(box, load, 8, -3, 1, 3, 1, bar);
    }
    __syncthreads();
    ptx::mbar_wait(bar, 0);
    for (int i = threadIdx.x; i < BYTES / 4; i += 128) out[i] = ((const uint32_t*)memory)[i];
    __syncthreads();
    if (threadIdx.x == 0) {  // into the second half of out, where the map of stores begins
        if (RANK == 2 && !ADD) ptx::tma_store_2d(store, box, -8, 2);
        if (RANK == 2 && ADD) {
            ptx::tma_add_2d(store, box, -8, 2);
            ptx::tma_add_2d(store, box, -8, 2);
        }
        if (RANK == 3) ptx::tma_store_3d(store, box, -8, 2, 0);
        if (RANK == 4) ptx::tma_store_4d(store, box, -8, 2, 0, 1);
        if (RANK == 5) ptx::tma_store_5d(store, box, -8, 2, 0, 1, 0);
        ptx::bulk_commit();
        ptx::bulk_wait<0>();
    }
#endif
}
PROBE(tma_2d_none, 128, (boxes<2, 24 * 2 * 8, false>(out, &load, &store)))
PROBE(tma_2d_32, 128, (boxes<2, 16 * 2 * 8, false>(out, &load, &store)))
PROBE(tma_2d_64, 128, (boxes<2, 32 * 2 * 8, false>(out, &load, &store)))
PROBE(tma_2d_128, 128, (boxes<2, 64 * 2 * 8, false>(out, &load, &store)))
PROBE(tma_add_2d, 128, (boxes<2, 64 * 2 * 8, true>(out, &load, &store)))
PROBE(tma_3d, 128, (boxes<3, 64 * 2 * 16, false>(out, &load, &store)))
PROBE(tma_4d, 128, (boxes<4, 64 * 2 * 16, false>(out, &load, &store)))
PROBE(tma_5d, 128, (boxes<5, 64 * 2 * 32, false>(out, &load, &store)))

// ---- wgmma: two groups in flight on two accumulators, the second from registers

template <class T, int N, int TRANS_A, int TRANS_B>
DEVICE void warpgroup_products(uint32_t* out, const uint32_t* in) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    constexpr int WORDS_A = 2048, WORDS = WORDS_A + (N < 64 ? 64 : N) * 32;
    for (int i = threadIdx.x; i < WORDS; i += 128) ((uint32_t*)memory)[i] = in[i % 8192];
    ptx::fence_proxy_async();
    __syncthreads();
    const uint32_t a = ptx::shared_address(memory), b = a + WORDS_A * 4;
    const uint64_t operand_a = TRANS_A ? ptx::wgmma_mn_major_128(a, 8192) : ptx::wgmma_k_major_128(a);
    const uint64_t operand_b = TRANS_B ? ptx::wgmma_mn_major_128(b, 2048) : ptx::wgmma_k_major_128(b);
    uint32_t registers[4];
    for (int i = 0; i < 4; i++) registers[i] = in[threadIdx.x + 128 * i];
    float d[N / 2], second[N / 2];
    for (int i = 0; i < N / 2; i++) d[i] = second[i] = (float)i;
    ptx::setmaxnreg_inc<248>();
    ptx::wgmma_fence();
    ptx::wgmma<T, N, TRANS_A, TRANS_B>(d, operand_a, operand_b, false);
    if (!TRANS_A && !TRANS_B) ptx::wgmma<T, N, TRANS_A, TRANS_B>(d, operand_a + 2, operand_b + 2, true);
    ptx::wgmma_commit();
    ptx::wgmma_registers<T, N, TRANS_B>(second, registers, operand_b, true);
    ptx::wgmma_commit();
    ptx::wgmma_wait<1>(d);
    for (int i = 0; i < N / 2; i++) d[i] *= 4096.f;  // beyond the other product: both fit one word
    ptx::wgmma_wait<0>();
    ptx::wgmma_done(second);
    for (int i = 0; i < N / 2; i++) out[i * 128 + threadIdx.x] = __float_as_uint(d[i] + second[i]);
    ptx::setmaxnreg_dec<40>();
#endif
}
#define WGMMA_TYPES(N)                                                                  \
    PROBE_WGMMA(wgmma_bf16_##N, (warpgroup_products<bf16, N, 0, 0>(out, in + IN_BF16)))  \
    PROBE_WGMMA(wgmma_f16_##N, (warpgroup_products<f16, N, 0, 0>(out, in + IN_F16)))     \
    PROBE_WGMMA(wgmma_e4m3_##N, (warpgroup_products<e4m3, N, 0, 0>(out, in + IN_E4M3)))
WGMMA_TYPES(8)
WGMMA_TYPES(16)
WGMMA_TYPES(32)
WGMMA_TYPES(64)
WGMMA_TYPES(96)
WGMMA_TYPES(128)
WGMMA_TYPES(160)
WGMMA_TYPES(192)
PROBE_WGMMA(wgmma_bf16_mn_64, (warpgroup_products<bf16, 64, 1, 1>(out, in + IN_BF16)))
PROBE_WGMMA(wgmma_bf16_kn_128, (warpgroup_products<bf16, 128, 0, 1>(out, in + IN_BF16)))
PROBE_WGMMA(wgmma_bf16_kn_192, (warpgroup_products<bf16, 192, 0, 1>(out, in + IN_BF16)))
PROBE_WGMMA(wgmma_bf16_mk_64, (warpgroup_products<bf16, 64, 1, 0>(out, in + IN_BF16)))
PROBE_WGMMA(wgmma_f16_mn_128, (warpgroup_products<f16, 128, 1, 1>(out, in + IN_F16)))

// 8-bit floats of two types. As E5M2 the codes are powers of two, as in mma_e5m2.
template <class A, class B>
DEVICE void f8_product(uint32_t* out, const uint32_t* in) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    for (int i = threadIdx.x; i < 2048 + 4096; i += 128) ((uint32_t*)memory)[i] = in[i];
    ptx::fence_proxy_async();
    __syncthreads();
    const uint32_t a = ptx::shared_address(memory), b = a + 8192;
    float d[64];
    for (int i = 0; i < 64; i++) d[i] = (float)i;
    ptx::wgmma_fence();
    ptx::wgmma_f8<A, B, 128>(d, ptx::wgmma_k_major_128(a), ptx::wgmma_k_major_128(b), true);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(d);
    for (int i = 0; i < 64; i++) out[i * 128 + threadIdx.x] = __float_as_uint(d[i]);
#endif
}
PROBE_WGMMA(wgmma_f8_e4m3_e4m3, (f8_product<e4m3, e4m3>(out, in + IN_E4M3)))
PROBE_WGMMA(wgmma_f8_e4m3_e5m2, (f8_product<e4m3, e5m2>(out, in + IN_E4M3)))
PROBE_WGMMA(wgmma_f8_e5m2_e4m3, (f8_product<e5m2, e4m3>(out, in + IN_E4M3)))
PROBE_WGMMA(wgmma_f8_e5m2_e5m2, (f8_product<e5m2, e5m2>(out, in + IN_E4M3)))

// The widest alone: two accumulators of 128 registers do not fit.
template <class T, int TRANS_B>
DEVICE void widest_product(uint32_t* out, const uint32_t* in) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    for (int i = threadIdx.x; i < 2048 + 8192; i += 128) ((uint32_t*)memory)[i] = in[i % 8192];
    ptx::fence_proxy_async();
    __syncthreads();
    const uint32_t a = ptx::shared_address(memory), b = a + 8192;
    const uint64_t operand_b = TRANS_B ? ptx::wgmma_mn_major_128(b, 2048) : ptx::wgmma_k_major_128(b);
    uint32_t registers[4];
    for (int i = 0; i < 4; i++) registers[i] = in[threadIdx.x + 128 * i];
    float d[128];
    for (int i = 0; i < 128; i++) d[i] = (float)i;
    ptx::wgmma_fence();
    ptx::wgmma<T, 256, 0, TRANS_B>(d, ptx::wgmma_k_major_128(a), operand_b, true);
    ptx::wgmma_registers<T, 256, TRANS_B>(d, registers, operand_b, true);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(d);
    for (int i = 0; i < 128; i++) out[i * 128 + threadIdx.x] = __float_as_uint(d[i]);
#endif
}
PROBE_WGMMA(wgmma_bf16_256, (widest_product<bf16, 0>(out, in + IN_BF16)))
PROBE_WGMMA(wgmma_bf16_kn_256, (widest_product<bf16, 1>(out, in + IN_BF16)))
PROBE_WGMMA(wgmma_f16_256, (widest_product<f16, 0>(out, in + IN_F16)))
PROBE_WGMMA(wgmma_e4m3_256, (widest_product<e4m3, 0>(out, in + IN_E4M3)))
