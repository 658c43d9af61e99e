// moving.cu: kernels that fill memory.
#include "kernel.cuh"

// The 16 bytes that hold `element` in every place.
template <class T>
DEVICE uint4 repeated(T element) {
    union {
        T elements[VEC<T>];
        uint4 raw;
    };
#pragma unroll
    for (int i = 0; i < VEC<T>; i++) elements[i] = element;
    return raw;
}

template <class T>
DEVICE void fill(T* out, float value, int64_t n) {
    const T element = from_float<T>(value);
    int64_t whole = 0;  // elements written 16 bytes at a time
    if (aligned16(out)) {
        whole = n - n % VEC<T>;
        const uint4 raw = repeated(element);
        for (int64_t i = gridThread() * VEC<T>; i < whole; i += gridThreads() * VEC<T>) ptx::st128(out + i, raw);
    }
    for (int64_t i = whole + gridThread(); i < n; i += gridThreads()) out[i] = element;
}

// fill: out = value, truncated for the integer types
// Bytes: n s                       (s = bytes per element)
// Operations: none
// Roofline: memory; nothing is read, so the bound is the write rate (4.8 TB/s on an H200)
// Tile: 256 threads, 16 bytes per thread and turn: one full 512-byte line group per warp and store
KERNEL(fill_f32, 256, (float* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_bf16, 256, (bf16* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_f16, 256, (f16* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_i32, 256, (int32_t* out, float value, int64_t n), fill(out, value, n))
KERNEL(fill_u8, 256, (uint8_t* out, float value, int64_t n), fill(out, value, n))
