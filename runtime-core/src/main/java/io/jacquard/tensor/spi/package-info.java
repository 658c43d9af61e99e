/// What a device must provide: memory, copies, graphs (`Backend`) and about 35 fused operations (`Kernels`).
/// One person can port a backend; a new `Kernels` method needs a reason in its commit.
/// Implementations are found with `ServiceLoader` through `BackendProvider`.
package io.jacquard.tensor.spi;
