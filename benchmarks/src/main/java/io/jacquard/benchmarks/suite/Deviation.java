package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;

/// The largest error of some outputs: of each tensor, the largest difference to the exact value over the largest exact
/// value; of several tensors, the worst.
public final class Deviation {
    /// What may come of operands in 8 bits. E5M2 is off by 5 % of an element, E4M3 by half of that, and a sum of
    /// random signs by as much of its own deviation, the worst of some hundred by three times that: 6 % of the
    /// largest, and 11 % where sums have few terms.
    static final double ALLOWED_OF_8_BITS = 1 / 4.0;

    private double worst;
    private double difference;
    private double magnitude;
    private long compared;

    /// The tensor before is complete.
    public Deviation next() {
        if (difference > 0) {
            worst = Math.max(worst, magnitude == 0 ? Double.POSITIVE_INFINITY : difference / magnitude);
        }
        difference = 0;
        magnitude = 0;
        return this;
    }

    public void add(double got, double exact) {
        compared++;
        // a NaN must not hide behind a comparison
        difference = Math.abs(got - exact) <= difference ? difference : Math.abs(got - exact);
        if (Double.isNaN(got)) {
            difference = Double.POSITIVE_INFINITY;
        }
        magnitude = Math.max(magnitude, Math.abs(exact));
    }

    public double relative() {
        next();
        return compared == 0 ? Double.NaN : worst;
    }

    public long compared() {
        return compared;
    }

    /// What may come of rounding: outputs in the type of the row, sums in F32. A wrong index or a lost tile is off
    /// by about 1.
    public static double allowed(DType dtype) {
        return switch (dtype) {
            case BF16 -> 0x1p-6;
            case F16 -> 0x1p-9;
            default -> 0x1p-12;
        };
    }
}
