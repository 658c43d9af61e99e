package io.jacquard.tensor.spi;

import io.jacquard.tensor.Tensor;

/// How optimizers round state that is BF16: up or down at random, so that the expectation is what was rounded. To
/// nearest, an update of less than half a unit in the last place would be lost, each step anew.
///
/// **Definition.** Of a finite F32 `x`, the 16 bits that BF16 lacks are `d`. The result is the neighbour of larger
/// magnitude with probability `d / 2^16`, else that of smaller magnitude: a number of 16 random bits is added to the
/// bits of `|x|`, and what BF16 lacks is cut off. What BF16 has stays as it is. Finite values stay finite: beyond the
/// largest one of BF16 there is nothing to round up to. Infinities and NaN stay.
///
/// **Random bits.** An element has one word of [Philox]: of `seed`, `step[0]`, micro-batch 0, and its site and index.
/// The low half rounds the weight, the high half `m` or the momentum, the sum of both modulo 2^16 `v`. Any two of the
/// three are independent; more than one word per element would be most of a step's arithmetic. All devices have the
/// same bits, and so have all ranks that divide a parameter's elements.
///
/// @param step I32 `[1]`, counted before the update, as the `step` of [Kernels#adamW]
/// @param origins I32 `[ceil(n / 256), 2]`: for each 256 elements the site, and the index of the first, divided by 256
public record StateRounding(long seed, Tensor step, Tensor origins) {}
