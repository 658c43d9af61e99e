/// The CUDA backend: every kernel of `io.jacquard.tensor.spi.Kernels` on an NVIDIA GPU.
///
/// `CudaProvider` opens a device as a `CudaBackend`. `CudaKernels` hands each operation to its family
/// (`PointwiseKernels`, `NormKernels`, ...), which knows the kernels' names, parameters and grids; the kernels
/// themselves are the `.cu` files of the module `native`. Foreign calls stay in `driver`.
///
/// Nothing here is public but the service provider. Start at `MovingKernels.fill`, then read one family.
@NullMarked
package io.jacquard.cuda;

import org.jspecify.annotations.NullMarked;
