/// Optimizers over the flat weights, and learning-rate schedules.
///
/// An optimizer step is a few launches over whole flat tensors: norm, count, update. Clipping and the decision to leave
/// out a non-finite step happen on the device; the host learns of it from `Optimizer.norm` when it cares to look.
package io.jacquard.optim;
