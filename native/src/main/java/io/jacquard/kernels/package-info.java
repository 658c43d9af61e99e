/// The compile step of the CUDA kernels and the way to what it made. [io.jacquard.kernels.Cubins] hands a backend the
/// compiled kernels for its device; `KernelCompiler` is what Maven runs to make them, with NVRTC and nothing else.
///
/// Nothing here needs a driver or knows a kernel: launching is the backend's. Start with `KernelCache`.
@org.jspecify.annotations.NullMarked
package io.jacquard.kernels;
