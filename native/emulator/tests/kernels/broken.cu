// broken.cu: one small kernel per mistake that the checking build finds, and beside it, where that is not obvious, the
// same kernel without the mistake. checks_test.cpp holds the messages; it finds line numbers by the @names here.
#include "kernel.cuh"

// ---- bounds

DEVICE void run_write_past_end(float* out, int n) {
    if ((int)threadIdx.x <= n) out[threadIdx.x] = 1.f;  // @past_end
}
KERNEL(write_past_end, 65, (float* out, int n), run_write_past_end(out, n))

DEVICE void run_read_before_begin(float* out, const float* x) {
    out[threadIdx.x] = x[(int)threadIdx.x - 1];  // @before_begin
}
KERNEL(read_before_begin, 64, (float* out, const float* x), run_read_before_begin(out, x))

DEVICE void run_null_pointer(float* out) {
    if (threadIdx.x == 3) out[0] = 1.f;  // @null
}
KERNEL(null_pointer, 64, (float* out), run_null_pointer(out))

DEVICE void run_shared_past_end() {
    DYN_SMEM(memory, 16);
    ((float*)memory)[threadIdx.x + 1] = 1.f;  // @shared_past_end
}
KERNEL(shared_past_end, 64, (), run_shared_past_end())

DEVICE void run_array_index(float* out, int index) {
    __shared__ float values[4];
    values[0] = 1.f;
    out[0] = values[index];  // @array_index
}
KERNEL(array_index, 64, (float* out, int index), run_array_index(out, index))

DEVICE void run_foreign_local_memory(float* out) {
    __shared__ float* pointer;
    float mine[2] = {out[0], 2.f};
    if (threadIdx.x == 0) pointer = mine;
    __syncthreads();
    out[threadIdx.x] = pointer[1];  // @foreign
    __syncthreads();
}
KERNEL(foreign_local_memory, 64, (float* out), run_foreign_local_memory(out))

DEVICE void run_cp_async_past_end(const float* x) {
    DYN_SMEM(memory, 16);
    ptx::cp_async16(ptx::shared_address(memory) + threadIdx.x * 16, x + threadIdx.x * 4, 16);  // @cp_async_past_end
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
}
KERNEL(cp_async_past_end, 64, (const float* x), run_cp_async_past_end(x))

DEVICE void run_ldmatrix_past_end(uint32_t* out) {
    DYN_SMEM(memory, 16);
    for (int i = 0; i < 4; i++) ((uint32_t*)memory)[threadIdx.x * 4 + i] = i;
    __syncwarp();
    uint32_t r[4];
    ptx::ldmatrix_x4(r, ptx::shared_address(memory) + (threadIdx.x + 1) * 16);  // @ldmatrix_past_end
    out[threadIdx.x] = r[0];
}
KERNEL(ldmatrix_past_end, 32, (uint32_t* out), run_ldmatrix_past_end(out))

// ---- alignment

DEVICE void run_misaligned_vector(uint32_t* out, const uint32_t* x) {
    const uint4 v = ptx::ld128(x + threadIdx.x);  // @misaligned_vector
    ptx::st128(out + 4 * threadIdx.x, v);
}
KERNEL(misaligned_vector, 64, (uint32_t* out, const uint32_t* x), run_misaligned_vector(out, x))

DEVICE void run_misaligned_pointer(uint32_t* out, const unsigned char* x) {
    out[threadIdx.x] = *(const uint32_t*)(x + 2);  // @misaligned_pointer
}
KERNEL(misaligned_pointer, 64, (uint32_t* out, const unsigned char* x), run_misaligned_pointer(out, x))

// ---- uninitialised memory

DEVICE void run_uninitialised_shared(float* out) {
    DYN_SMEM(memory, 16);
    float* values = (float*)memory;
    if (threadIdx.x != 40) values[threadIdx.x] = 1.f;
    __syncthreads();
    out[threadIdx.x] = values[63 - threadIdx.x];  // @uninitialised_shared
}
KERNEL(uninitialised_shared, 64, (float* out), run_uninitialised_shared(out))

DEVICE void run_uninitialised_device(float* out, const float* x) {
    out[threadIdx.x] = x[threadIdx.x];  // @uninitialised_device
}
KERNEL(uninitialised_device, 64, (float* out, const float* x), run_uninitialised_device(out, x))

DEVICE void run_uninitialised_counter(int* out) {
    __shared__ int counter;
    const int before = atomicAdd(&counter, 1);  // @uninitialised_counter
    out[threadIdx.x] = before;
}
KERNEL(uninitialised_counter, 64, (int* out), run_uninitialised_counter(out))

// ---- races

template <bool BARRIER>
DEVICE void exchange(float* out) {
    __shared__ float values[64];
    for (int turn = 0; turn < 2; turn++) {
        values[threadIdx.x] = (float)turn;  // @exchange_write
        if (BARRIER || turn == 0) __syncthreads();
        out[threadIdx.x] = values[threadIdx.x ^ 32];  // @exchange_read
        __syncthreads();
    }
}
KERNEL(race_no_barrier, 64, (float* out), exchange<false>(out))
KERNEL(fine_with_barrier, 64, (float* out), exchange<true>(out))

template <bool BARRIER>
DEVICE void reuse(float* out) {
    __shared__ float value;
    for (int i = 0; i < 2; i++) {
        if (threadIdx.x == 0) value = (float)i;  // @reuse_write
        __syncthreads();
        out[threadIdx.x] = value;  // @reuse_read
        if (BARRIER) __syncthreads();
    }
}
KERNEL(race_on_reuse, 64, (float* out), reuse<false>(out))
KERNEL(fine_reuse, 64, (float* out), reuse<true>(out))

DEVICE void run_race_between_blocks(float* out) {
    out[threadIdx.x] = (float)blockIdx.x;  // @between_blocks
}
KERNEL(race_between_blocks, 64, (float* out), run_race_between_blocks(out))

DEVICE void run_fine_atomics_between_blocks(float* out) {
    atomicAdd(&out[threadIdx.x], 1.f);
}
KERNEL(fine_atomics_between_blocks, 64, (float* out), run_fine_atomics_between_blocks(out))

DEVICE void run_race_atomic_and_read(float* out) {
    if (threadIdx.x < 32) {
        atomicAdd(&out[0], 1.f);  // @atomic
    } else if (threadIdx.x == 32) {
        out[1] = out[0];  // @plain_read
    }
}
KERNEL(race_atomic_and_read, 64, (float* out), run_race_atomic_and_read(out))

template <bool SYNC>
DEVICE void warp_exchange(float* out) {
    __shared__ float values[64];
    values[threadIdx.x] = 1.f;
    __syncthreads();
    values[threadIdx.x] = 2.f;  // @warp_write
    if (SYNC) __syncwarp();
    // A shuffle brings the lanes together, but orders no memory.
    const float meet = __shfl_xor_sync(~0u, 1.f, 1);
    out[threadIdx.x] = meet + values[threadIdx.x ^ 1];  // @warp_read
}
KERNEL(race_in_warp, 64, (float* out), warp_exchange<false>(out))
KERNEL(fine_with_syncwarp, 64, (float* out), warp_exchange<true>(out))

template <bool WAIT, bool BARRIER>
DEVICE void copied(float* out, const float* x) {
    DYN_SMEM(memory, 16);
    const uint32_t shared = ptx::shared_address(memory);
    ptx::cp_async4(shared + threadIdx.x * 4, x + threadIdx.x);  // @copy
    ptx::cp_async_commit();
    if (WAIT) ptx::cp_async_wait<0>();
    if (BARRIER) __syncthreads();
    out[threadIdx.x] = ((const float*)memory)[threadIdx.x ^ (BARRIER ? 32 : 0)];  // @copied_read
    ptx::cp_async_wait<0>();
}
KERNEL(race_cp_async_not_waited, 64, (float* out, const float* x), (copied<false, true>(out, x)))
KERNEL(race_cp_async_own_data, 64, (float* out, const float* x), (copied<false, false>(out, x)))
KERNEL(fine_cp_async, 64, (float* out, const float* x), (copied<true, true>(out, x)))

DEVICE void run_fine_bytes_of_one_word(unsigned char* out) {
    out[threadIdx.x] = (unsigned char)threadIdx.x;
}
KERNEL(fine_bytes_of_one_word, 64, (unsigned char* out), run_fine_bytes_of_one_word(out))

DEVICE void run_fine_halves_of_one_word(uint16_t* out) {
    out[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x ^ 33] = 2;
}
KERNEL(fine_halves_of_one_word, 64, (uint16_t* out), run_fine_halves_of_one_word(out))

// ---- barriers and collectives

DEVICE void run_divergent_syncthreads(float* out) {
    if (threadIdx.x < 32) {
        out[threadIdx.x] = 1.f;
        __syncthreads();  // @barrier_one
    } else {
        __syncthreads();  // @barrier_two
        out[threadIdx.x] = 1.f;
    }
}
KERNEL(divergent_syncthreads, 64, (float* out), run_divergent_syncthreads(out))

DEVICE void run_missing_threads_at_barrier(float* out) {
    if (threadIdx.x < 40) __syncthreads();  // @missing_threads
    out[threadIdx.x] = 1.f;
}
KERNEL(missing_threads_at_barrier, 64, (float* out), run_missing_threads_at_barrier(out))

DEVICE void run_barrier_counts_differ(float* out) {
    ptx::bar_sync(1, threadIdx.x < 32 ? 64 : 96);  // @counts_differ
    out[threadIdx.x] = 1.f;
}
KERNEL(barrier_counts_differ, 96, (float* out), run_barrier_counts_differ(out))

DEVICE void run_shuffle_mask_without_caller(float* out) {
    out[threadIdx.x] = __shfl_sync(0xffffu, 1.f, 0);  // @without_caller
}
KERNEL(shuffle_mask_without_caller, 64, (float* out), run_shuffle_mask_without_caller(out))

DEVICE void run_shuffle_after_exit(float* out) {
    if (threadIdx.x % 32 == 0) return;
    out[threadIdx.x] = __shfl_xor_sync(~0u, 1.f, 1);  // @after_exit
}
KERNEL(shuffle_after_exit, 64, (float* out), run_shuffle_after_exit(out))

DEVICE void run_shuffle_from_outside(float* out) {
    if (threadIdx.x % 32 < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.f, 20);  // @from_outside
}
KERNEL(shuffle_from_outside, 64, (float* out), run_shuffle_from_outside(out))

DEVICE void run_divergent_shuffles(float* out) {
    float v = 1.f;
    if (threadIdx.x % 2 == 0) {
        v = __shfl_xor_sync(~0u, v, 1);  // @shuffle_one
    } else {
        v = __shfl_xor_sync(~0u, v, 2);  // @shuffle_two
    }
    out[threadIdx.x] = v;
}
KERNEL(divergent_shuffles, 64, (float* out), run_divergent_shuffles(out))

DEVICE void run_spin_for_ever(const volatile int* flag) {
    while (*flag == 0) {  // @spin
    }
}
KERNEL(spin_for_ever, 64, (const volatile int* flag), run_spin_for_ever(flag))

DEVICE void run_cp_async_never_waited(const float* x) {
    DYN_SMEM(memory, 16);
    ptx::cp_async4(ptx::shared_address(memory) + threadIdx.x * 4, x + threadIdx.x);
}
KERNEL(cp_async_never_waited, 64, (const float* x), run_cp_async_never_waited(x))

DEVICE void run_traps(const float* x) {
    if (x[0] == 1.f) __trap();  // @trap
}
KERNEL(traps, 64, (const float* x), run_traps(x))

// ---- undefined behaviour

DEVICE void run_shift_too_far(int* x) {
    x[0] = 1 << x[1];  // @shift
}
KERNEL(shift_too_far, 64, (int* x), run_shift_too_far(x))

DEVICE void run_overflows(int* x) {
    x[0] = x[1] + 1;  // @overflow
}
KERNEL(overflows, 64, (int* x), run_overflows(x))
