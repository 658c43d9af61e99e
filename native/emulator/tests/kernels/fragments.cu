// fragments.cu: each matrix instruction once, on operands that the host has laid out: fragments_test.cpp.
#include "kernel.cuh"
#include "ptx_wgmma.cuh"

// ---- ldmatrix and stmatrix: `x` holds 4 matrices of 8 x 8

template <int KIND>
DEVICE void matrices(uint32_t* out, const uint32_t* x) {
    DYN_SMEM(memory, 16);
    for (int i = threadIdx.x; i < 128; i += 32) ((uint32_t*)memory)[i] = x[i];
    __syncwarp();
    const uint32_t row = ptx::shared_address(memory) + threadIdx.x * 16;
    uint32_t r[4] = {};
    if (KIND == 0) ptx::ldmatrix_x4(r, row);
    if (KIND == 1) ptx::ldmatrix_x4_trans(r, row);
    uint32_t two[2] = {};
    if (KIND == 2) ptx::ldmatrix_x2(two, row);
    if (KIND == 3) ptx::ldmatrix_x2_trans(two, row);
    if (KIND == 4 || KIND == 5) {  // the input is taken as registers
        for (int i = 0; i < 4; i++) r[i] = x[threadIdx.x * 4 + i];
        __syncwarp();
        if (KIND == 4) ptx::stmatrix_x4(row, r);
        if (KIND == 5) ptx::stmatrix_x4_trans(row, r);
        __syncwarp();
        for (int i = 0; i < 4; i++) r[i] = ((uint32_t*)memory)[threadIdx.x * 4 + i];
    }
    for (int i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = KIND == 2 || KIND == 3 ? (i < 2 ? two[i] : 0) : r[i];
}
KERNEL(ldmatrix_x4, 32, (uint32_t* out, const uint32_t* x), matrices<0>(out, x))
KERNEL(ldmatrix_x4_trans, 32, (uint32_t* out, const uint32_t* x), matrices<1>(out, x))
KERNEL(ldmatrix_x2, 32, (uint32_t* out, const uint32_t* x), matrices<2>(out, x))
KERNEL(ldmatrix_x2_trans, 32, (uint32_t* out, const uint32_t* x), matrices<3>(out, x))
KERNEL(stmatrix_x4, 32, (uint32_t* out, const uint32_t* x), matrices<4>(out, x))
KERNEL(stmatrix_x4_trans, 32, (uint32_t* out, const uint32_t* x), matrices<5>(out, x))

// ---- mma.sync: registers a[4], b[2] and d[4] of each lane, one after another

template <int KIND>
DEVICE void products(uint32_t* d, const uint32_t* a, const uint32_t* b) {
    const uint32_t lane = threadIdx.x;
    uint32_t ra[4];
    for (int i = 0; i < 4; i++) ra[i] = a[lane * 4 + i];
    if (KIND == 3) {
        int rd[4];
        for (int i = 0; i < 4; i++) rd[i] = (int)d[lane * 4 + i];
        ptx::mma_s8(rd, ra, b[lane * 2], b[lane * 2 + 1]);
        for (int i = 0; i < 4; i++) d[lane * 4 + i] = (uint32_t)rd[i];
        return;
    }
    float rd[4];
    for (int i = 0; i < 4; i++) rd[i] = __uint_as_float(d[lane * 4 + i]);
    if (KIND == 0) ptx::mma_bf16(rd, ra, b[lane * 2], b[lane * 2 + 1]);
    if (KIND == 1) ptx::mma_f16(rd, ra, b[lane * 2], b[lane * 2 + 1]);
    if (KIND == 2) ptx::mma_e4m3(rd, ra, b[lane * 2], b[lane * 2 + 1]);
    if (KIND == 4) ptx::mma_e5m2(rd, ra, b[lane * 2], b[lane * 2 + 1]);
    if (KIND == 5) ptx::mma_e4m3_e5m2(rd, ra, b[lane * 2], b[lane * 2 + 1]);
    if (KIND == 6) ptx::mma_e5m2_e4m3(rd, ra, b[lane * 2], b[lane * 2 + 1]);
    for (int i = 0; i < 4; i++) d[lane * 4 + i] = __float_as_uint(rd[i]);
}
KERNEL(mma_bf16, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<0>(d, a, b))
KERNEL(mma_f16, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<1>(d, a, b))
KERNEL(mma_e4m3, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<2>(d, a, b))
KERNEL(mma_s8, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<3>(d, a, b))
KERNEL(mma_e5m2, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<4>(d, a, b))
KERNEL(mma_e4m3_e5m2, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<5>(d, a, b))
KERNEL(mma_e5m2_e4m3, 32, (uint32_t* d, const uint32_t* a, const uint32_t* b), products<6>(d, a, b))

// ---- wgmma: `image` is what shared memory holds, the descriptors are without their start

template <class T, int N, int TRANS_A, int TRANS_B, bool REGISTERS>
DEVICE void warpgroup_product(float* d, const uint32_t* a, const uint32_t* image, int words, uint64_t descriptor_a,
                              uint64_t descriptor_b, int offset_b) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    const uint32_t shared = ptx::shared_address(memory);
    for (int i = threadIdx.x; i < words; i += 128) ((uint32_t*)memory)[i] = image[i];
    ptx::fence_proxy_async();
    __syncthreads();
    float rd[N / 2];
    for (int i = 0; i < N / 2; i++) rd[i] = d[threadIdx.x * (N / 2) + i];
    uint32_t ra[4];
    for (int i = 0; i < 4; i++) ra[i] = a[threadIdx.x * 4 + i];
    const uint64_t b = descriptor_b | (shared + offset_b) >> 4;
    ptx::wgmma_fence();
    if constexpr (REGISTERS) {
        ptx::wgmma_registers<T, N, TRANS_B>(rd, ra, b, true);
    } else {
        ptx::wgmma<T, N, TRANS_A, TRANS_B>(rd, descriptor_a | shared >> 4, b, true);
    }
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(rd);
    for (int i = 0; i < N / 2; i++) d[threadIdx.x * (N / 2) + i] = rd[i];
#endif
}
#define WGMMA_KERNEL(name, T, N, TRANS_A, TRANS_B, REGISTERS)                                                          \
    KERNEL(name, 128,                                                                                                  \
           (float* d, const uint32_t* a, const uint32_t* image, int words, uint64_t descriptor_a, uint64_t descriptor_b, \
            int offset_b),                                                                                             \
           (warpgroup_product<T, N, TRANS_A, TRANS_B, REGISTERS>(d, a, image, words, descriptor_a, descriptor_b,       \
                                                                 offset_b)))
#define WGMMA_OF_N(N)                                                    \
    WGMMA_KERNEL(wgmma_bf16_##N##_kk, bf16, N, 0, 0, false)              \
    WGMMA_KERNEL(wgmma_bf16_##N##_kn, bf16, N, 0, 1, false)              \
    WGMMA_KERNEL(wgmma_bf16_##N##_rn, bf16, N, 0, 1, true)
WGMMA_OF_N(8)
WGMMA_OF_N(16)
WGMMA_OF_N(32)
WGMMA_OF_N(64)
WGMMA_OF_N(96)
WGMMA_OF_N(128)
WGMMA_OF_N(160)
WGMMA_OF_N(192)
WGMMA_OF_N(256)
WGMMA_KERNEL(wgmma_bf16_64_mk, bf16, 64, 1, 0, false)
WGMMA_KERNEL(wgmma_bf16_64_mn, bf16, 64, 1, 1, false)
WGMMA_KERNEL(wgmma_bf16_64_rk, bf16, 64, 0, 0, true)
WGMMA_KERNEL(wgmma_f16_64_kk, f16, 64, 0, 0, false)
WGMMA_KERNEL(wgmma_f16_64_mn, f16, 64, 1, 1, false)
WGMMA_KERNEL(wgmma_f16_64_rn, f16, 64, 0, 1, true)
WGMMA_KERNEL(wgmma_e4m3_64_kk, e4m3, 64, 0, 0, false)
WGMMA_KERNEL(wgmma_e4m3_128_kk, e4m3, 128, 0, 0, false)
WGMMA_KERNEL(wgmma_e4m3_64_rk, e4m3, 64, 0, 0, true)

// ---- tensor copies: a box comes in, shared memory as it lies goes out; and the reverse

template <int RANK>
DEVICE void box_in(uint32_t* out, const TensorMap* map, int bytes, int x, int y, int z, int u, int v) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    const uint32_t box = ptx::shared_address(memory), bar = box + bytes;
    if (threadIdx.x == 0) {
        ptx::mbar_init(bar, 1);
        ptx::fence_mbar_init();
        ptx::mbar_arrive_expect(bar, bytes);
        if (RANK == 2) ptx::tma_load_2d(box, map, x, y, bar);
        if (RANK == 3) ptx::tma_load_3d(box, map, x, y, z, bar);
        if (RANK == 4) ptx::tma_load_4d(box, map, x, y, z, u, bar);
        if (RANK == 5) ptx::tma_load_5d(box, map, x, y, z, u, v, bar);
    }
    __syncthreads();
    ptx::mbar_wait(bar, 0);
    for (int i = threadIdx.x; i < bytes / 4; i += 32) out[i] = ((const uint32_t*)memory)[i];
#endif
}
template <int RANK, bool ADD>
DEVICE void box_out(const uint32_t* x32, const TensorMap* map, int bytes, int x, int y, int z, int u, int v) {
#if SM90A_CODE
    DYN_SMEM(memory, 1024);
    const uint32_t box = ptx::shared_address(memory);
    for (int i = threadIdx.x; i < bytes / 4; i += 32) ((uint32_t*)memory)[i] = x32[i];
    ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        if (RANK == 2 && ADD) ptx::tma_add_2d(map, box, x, y);
        if (RANK == 2 && !ADD) ptx::tma_store_2d(map, box, x, y);
        if (RANK == 3) ptx::tma_store_3d(map, box, x, y, z);
        if (RANK == 4) ptx::tma_store_4d(map, box, x, y, z, u);
        if (RANK == 5) ptx::tma_store_5d(map, box, x, y, z, u, v);
        ptx::bulk_commit();
        ptx::bulk_wait<0>();
    }
#endif
}
#define BOX(name, call)                                                                                                \
    KERNEL(name, 32,                                                                                                   \
           (uint32_t* memory, const __grid_constant__ TensorMap map, int bytes, int x, int y, int z, int u, int v),     \
           (call(memory, &map, bytes, x, y, z, u, v)))
BOX(box_in_2, box_in<2>)
BOX(box_in_3, box_in<3>)
BOX(box_in_4, box_in<4>)
BOX(box_in_5, box_in<5>)
#define BOX_OUT_2(...) box_out<2, false>(__VA_ARGS__)
#define BOX_ADD_2(...) box_out<2, true>(__VA_ARGS__)
#define BOX_OUT_3(...) box_out<3, false>(__VA_ARGS__)
#define BOX_OUT_4(...) box_out<4, false>(__VA_ARGS__)
#define BOX_OUT_5(...) box_out<5, false>(__VA_ARGS__)
BOX(box_out_2, BOX_OUT_2)
BOX(box_add_2, BOX_ADD_2)
BOX(box_out_3, BOX_OUT_3)
BOX(box_out_4, BOX_OUT_4)
BOX(box_out_5, BOX_OUT_5)

// ---- contiguous bulk copies: in through one barrier, out in one group
DEVICE void through_shared(uint32_t* out, const uint32_t* x, int bytes) {
#if SM90A_CODE
    DYN_SMEM(memory, 128);
    const uint32_t data = ptx::shared_address(memory), bar = data + bytes;
    if (threadIdx.x == 0) {
        ptx::mbar_init(bar, 1);
        ptx::fence_mbar_init();
        ptx::mbar_arrive_expect(bar, bytes);
        ptx::bulk_load(data, x, bytes, bar);
        ptx::mbar_wait(bar, 0);
        ptx::bulk_store(out, data, bytes);
        ptx::bulk_commit();
        ptx::bulk_wait_read<0>();
        ptx::bulk_wait<0>();
    }
#endif
}
KERNEL(bulk_through, 32, (uint32_t* out, const uint32_t* x, int bytes), through_shared(out, x, bytes))
