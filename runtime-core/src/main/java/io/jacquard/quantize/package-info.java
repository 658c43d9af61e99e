/// Weights of trained models in four bits: how they are rounded ([Int4Rounding]) and how that is done to a whole model
/// ([ModelQuantizer]).
@NullMarked
package io.jacquard.quantize;

import org.jspecify.annotations.NullMarked;
