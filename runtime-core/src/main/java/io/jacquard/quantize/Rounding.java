package io.jacquard.quantize;

import io.jacquard.nn.Parameter;
import java.util.Map;

/// How the weights of a model are rounded.
public interface Rounding {
    /// The name in options.
    String label();

    /// Whether it needs calibration data.
    boolean needsData();

    /// @throws IllegalArgumentException if it cannot round `p`
    void check(Parameter p);

    /// Rounds the weight `w` `[rows, columns]`.
    ///
    /// @param h `xᵀ x` of its inputs, `[columns, columns]`; empty where there is no data
    RoundedWeight round(float[] w, int rows, int columns, float[] h);

    /// Of rows of `columns` weights, with their scales and zeros.
    double bitsPerWeight(int columns);

    /// The settings, for a report.
    Map<String, Object> json();
}
