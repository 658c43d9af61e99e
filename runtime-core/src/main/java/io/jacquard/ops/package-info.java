/// Differentiable operations: one record each, holding what its backward needs, with forward, checks and backward in
/// one file. Start at `Ops`, the list of everything; `MatMul` is the shortest complete example.
///
/// An operation checks its operands, allocates its result in the current scope and launches kernels; it knows no
/// device. Layers with weights are in `io.jacquard.nn`.
package io.jacquard.ops;
