/// Weights of trained models in few bits: how they are rounded ([Int4Rounding], [Float8Matrix]) and how that is done to
/// a whole model ([ModelQuantizer]).
@NullMarked
package io.jacquard.quantize;

import org.jspecify.annotations.NullMarked;
