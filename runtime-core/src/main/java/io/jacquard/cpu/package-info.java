/// The CPU backend: every kernel of `io.jacquard.tensor.spi.Kernels` on the Vector API, matrix products by oneDNN.
///
/// `CpuKernels` turns tensors into raw addresses and hands one job to a family (`Elementwise`, `Norms`, `Attention`,
/// ...); the family cuts it into chunks that depend on the sizes only, never on the number of threads, and `Workers`
/// runs them. So results are the same bits with any number of threads. Arithmetic is written once, for F32: 16-bit
/// operands are widened into a `Lane`'s scratch, which stays in the first cache levels, and rounded on the way back
/// (`Operand`).
///
/// Nothing here is public but the service provider. Start at `CpuKernels`, then read one family.
@NullMarked
package io.jacquard.cpu;

import org.jspecify.annotations.NullMarked;
