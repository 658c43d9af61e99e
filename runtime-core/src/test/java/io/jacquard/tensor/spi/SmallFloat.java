package io.jacquard.tensor.spi;

/// The 8-bit floating types as the tests see them, by the definition: 2^(e - bias) * 1.m, and 2^(1 - bias) * 0.m where
/// the exponent is 0 (Micikevicius et al., arXiv:2209.05433, table 1).
final class SmallFloat {
    static final SmallFloat E4M3 = new SmallFloat(3, 7, 448);
    static final SmallFloat E5M2 = new SmallFloat(2, 15, 57344);

    private final int mantissa;
    private final int bias;
    private final double largest;
    private final double[] values = new double[256];

    private SmallFloat(int mantissa, int bias, double largest) {
        this.mantissa = mantissa;
        this.bias = bias;
        this.largest = largest;
        for (int bits = 0; bits < 256; bits++) {
            values[bits] = decode(bits);
        }
    }

    private double decode(int bits) {
        double sign = bits < 128 ? 1 : -1;
        int exponent = (bits & 127) >> mantissa;
        double fraction = (bits & (1 << mantissa) - 1) / (double) (1 << mantissa);
        double value = exponent == 0 ? Math.scalb(fraction, 1 - bias) : Math.scalb(1 + fraction, exponent - bias);
        if (value > largest) { // E5M2 ends as IEEE 754's types do, E4M3 has one NaN of each sign
            value = mantissa == 2 && fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        }
        return sign * value;
    }

    double value(byte bits) {
        return values[bits & 0xff];
    }

    /// To nearest, ties to even; finite values saturate, and infinities are NaN where there are none.
    double round(float x) {
        if (Float.isNaN(x) || Float.isInfinite(x)) {
            return this == E4M3 ? Double.NaN : x;
        }
        double spacing = Math.scalb(1.0, Math.max(Math.getExponent(x), 1 - bias) - mantissa);
        return Math.copySign(Math.min(Math.rint(Math.abs(x) / spacing) * spacing, largest), x);
    }

    /// Of a value that the type has.
    byte bits(double value) {
        for (int bits = 0; bits < 256; bits++) {
            if (Double.compare(values[bits], value) == 0 || Double.isNaN(values[bits]) && Double.isNaN(value)) {
                return (byte) bits;
            }
        }
        throw new IllegalArgumentException("no 8-bit float with " + mantissa + " bits of mantissa is " + value);
    }
}
