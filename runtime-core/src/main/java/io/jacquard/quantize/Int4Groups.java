package io.jacquard.quantize;

import io.jacquard.nn.Parameter;
import java.util.LinkedHashMap;
import java.util.Map;

/// Four bits, in groups of a row.
///
/// @param group neighbours of a row that share a scale; a divisor of every layer's inputs
/// @param symmetric whether 0 is always the value 0, and no zeros are stored
public record Int4Groups(Int4Rounding values, int group, boolean symmetric) implements Rounding {
    @Override
    public String label() {
        return values.label();
    }

    @Override
    public boolean needsData() {
        return values.needsData();
    }

    @Override
    public void check(Parameter p) {
        int in = p.shape().dim(1);
        if (group < 1 || in % group != 0) {
            throw new IllegalArgumentException("quantize: " + p + " has rows of " + in + ", which groups of " + group
                    + " do not divide; expected a divisor, such as " + gcd(in, 128));
        }
    }

    private static int gcd(int a, int b) {
        return b == 0 ? a : gcd(b, a % b);
    }

    @Override
    public Int4Matrix round(float[] w, int rows, int columns, float[] h) {
        return values.round(w, rows, columns, group, symmetric, h);
    }

    @Override
    public double bitsPerWeight(int columns) {
        return 4 + (symmetric ? 32.0 : 36.0) / group;
    }

    @Override
    public Map<String, Object> json() {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("method", label());
        all.put("group", group);
        all.put("symmetric", symmetric);
        return all;
    }
}
