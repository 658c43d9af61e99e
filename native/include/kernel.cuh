// kernel.cuh: what every kernel source includes. The same source compiles with NVRTC, with nvcc, and with a host
// compiler for the emulator (native/emulator), which runs each CUDA thread as a fiber on the CPU.
#pragma once

#ifdef __CUDACC__

#ifdef __CUDACC_RTC__
// NVRTC brings no <stdint.h>.
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif

#define DEVICE __device__ __forceinline__

// Defines an entry point `name` (C linkage) whose body is `call`. `threads` is the largest block it may be launched
// with; BOUNDS(threads, blocks) also names the blocks that must fit on a multiprocessor.
#define KERNEL(name, threads, params, call)                                                                           \
    extern "C" __global__ void __launch_bounds__(threads) name params {                                              \
        call;                                                                                                         \
    }

// Dynamic shared memory of the launch as `unsigned char* name`. Keep `align` as small as the kernel can use: the
// largest alignment in a source file pads every kernel of that file.
#define DYN_SMEM(name, align) extern __shared__ __align__(align) unsigned char name[]

#else
#include "emulator.h"

#define DEVICE inline __attribute__((always_inline))
#define KERNEL(name, threads, params, call)                                                                           \
    extern "C" void name params {                                                                                     \
        call;                                                                                                         \
    }                                                                                                                 \
    EMULATOR_KERNEL(name, threads)
#define DYN_SMEM(name, align) unsigned char* const name = emulator::dynamicShared(align, #name)

#endif

#define BOUNDS(threads, blocks) threads, blocks

#include "ptx.cuh"
#include "types.cuh"

// Instantiates a kernel for f32, bf16 and f16 under the names name_f32, name_bf16 and name_f16; in `params` and
// `call` the type is called T.
#define KERNEL_FLOATS(name, threads, params, call)                                                                    \
    KERNEL_OF_TYPE(name, f32, float, (threads), params, call)                                                         \
    KERNEL_OF_TYPE(name, bf16, bf16, (threads), params, call)                                                         \
    KERNEL_OF_TYPE(name, f16, f16, (threads), params, call)

#define KERNEL_OF_TYPE(name, suffix, type, threads, params, call)                                                     \
    namespace name##_as_##suffix {                                                                                    \
    using T = type;                                                                                                   \
    KERNEL(name##_##suffix, BOUNDS_OF threads, PARAMS_OF params, call)                                                \
    }
#define BOUNDS_OF(...) __VA_ARGS__
#define PARAMS_OF(...) (__VA_ARGS__)

// Index of this thread in the grid and the number of threads in the grid, for grid-stride loops over x.
DEVICE int64_t gridThread() {
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

DEVICE int64_t gridThreads() {
    return (int64_t)gridDim.x * blockDim.x;
}
