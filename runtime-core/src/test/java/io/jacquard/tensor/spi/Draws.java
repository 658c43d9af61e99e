package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import java.util.function.Function;

/// What state in BF16 is rounded by, and what [StateRounding] makes of it: written apart from the code under test, in
/// doubles.
record Draws(Operand step, Operand origins) {
    private static final long SEED = 0x9123456789abcdefL;
    private static final double LARGEST = Math.scalb(255.0, 120);

    /// Which 16 bits of an element's word.
    enum Bits {
        LOW,
        HIGH,
        SUM;

        int of(int word) {
            int low = word & 0xffff;
            int high = word >>> 16;
            return switch (this) {
                case LOW -> low;
                case HIGH -> high;
                case SUM -> (low + high) % 0x10000;
            };
        }
    }

    /// For `n` elements: groups of any sites, the first ones of all sizes that a group's number can have.
    static Draws of(Trial t, int n) {
        int groups = (n + 255) / 256;
        return new Draws(
                t.in("rounding step", DType.I32, Trial.constant(77), 1),
                t.in("origins", DType.I32, (r, i) -> i % 2 == 0 ? r.nextInt() : -5 + i / 2, groups, 2));
    }

    StateRounding rounding() {
        return new StateRounding(SEED, step.tensor(), origins.tensor());
    }

    private int word(int i) {
        int group = i / 256;
        long index = ((long) origins.initial()[2 * group + 1] & 0xffffffffL) * 256 + i % 256;
        int[] words = new int[4];
        Philox.block(words, SEED, (int) step.initial()[0], 0, (int) origins.initial()[2 * group], index / 4);
        return words[(int) (index % 4)];
    }

    /// `x`, rounded to F32, as the BF16 that 16 random bits choose.
    static double round(double x, int random) {
        float f = (float) x;
        if (!Float.isFinite(f)) {
            return f;
        }
        double unit = Numbers.ulp(DType.BF16, f);
        double units = Math.floor(Math.abs(f) / unit + random / 65536.0);
        return Math.copySign(Math.min(units * unit, LARGEST), f);
    }

    /// Of what `bits` make of `x`, each element by its own.
    double[] round(double[] x, Bits bits) {
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = round(x[i], bits.of(word(i)));
        }
        return y;
    }

    /// `state` must be `formula`, rounded. That is monotonic: what is within the tolerance in F32 lies between
    /// the roundings of its ends, and these are nearly always one value.
    void expect(Trial t, Operand state, Bits bits, Function<Arithmetic, double[]> formula) {
        t.expectThat(state, got -> {
            Tolerance f32 = Tolerance.derive(DType.F32, formula);
            int sure = 0;
            for (int i = 0; i < got.length; i++) {
                int random = bits.of(word(i));
                double least = round(f32.exact()[i] - f32.bound(i), random);
                double most = round(f32.exact()[i] + f32.bound(i), random);
                if (!(got[i] >= least && got[i] <= most)) {
                    fail(state.name + "[" + i + "] is " + got[i] + ", not " + least + " to " + most + ": "
                            + f32.exact()[i] + " rounded by " + random + " / 65536");
                }
                sure += least == most ? 1 : 0;
            }
            assertTrue(sure >= 0.85 * got.length - 1, state.name + ": the bits of " + sure + " elements are sure");
        });
    }
}
