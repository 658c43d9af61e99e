/// Tensors, the scopes that own their memory, and reverse-mode differentiation.
///
/// Start at `Session.open`, which binds a backend to the calling thread, then `Tensor` and `Scope`.
/// People who add operations implement `Node` and write gradients through `Gradients`.
/// Devices live behind `io.jacquard.tensor.spi`; operations in `io.jacquard.ops`.
package io.jacquard.tensor;
