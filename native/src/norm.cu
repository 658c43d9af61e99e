// LayerNorm and RMSNorm, forward.
#include "norm.cuh"

// layer_norm: out = (t - mean(t)) rstd(t) weight + bias, t = x, or x + residual, which is stored
// Bytes: 2 n c s + 8 n; with residual 4 n c s + 8 n      (n rows of c columns, s bytes per element)
// Operations: ~8 n c
// Roofline: memory; 2 operations per byte in bf16 where an H200 balances at ~14 outside the tensor cores
// Tile: 256 threads, one thread to 64 bytes of a row (32 to 256 to a row), held in registers; rows over a grid as
// large as the device, the next row under way by cp.async while this one is reduced; wider rows are read again from L1
KERNEL_FLOATS(layer_norm, BOUNDS(256, 3),
              (T * out, T* total, float* mean, float* rstd, const T* x, const T* residual, const T* weight,
               const T* bias, float epsilon, int64_t rows, int columns, int width, int chunks),
              (norm<T, true>({out, total, mean, rstd, x, residual, weight, bias}, {rows, columns, epsilon},
                             RowGroup(width), chunks)))

// rms_norm: out = t rstd(t) weight, t = x, or x + residual, which is stored
// Bytes: 2 n c s + 4 n; with residual 4 n c s + 4 n
// Operations: ~5 n c
// Roofline: memory; see layer_norm
// Tile: as layer_norm, with one reduction instead of two
KERNEL_FLOATS(rms_norm, BOUNDS(256, 3),
              (T * out, T* total, float* rstd, const T* x, const T* residual, const T* weight, float epsilon,
               int64_t rows, int columns, int width, int chunks),
              (norm<T, false>({out, total, nullptr, rstd, x, residual, weight, nullptr}, {rows, columns, epsilon},
                              RowGroup(width), chunks)))
