package io.jacquard.ops;

import io.jacquard.tensor.Tensor;

/// What a norm with residual gives: the sum that the residual stream goes on with, and its normed value.
///
/// @param total `x + residual`, or `x` where there was no residual
/// @param value the normed `total`
public record Normed(Tensor total, Tensor value) {}
