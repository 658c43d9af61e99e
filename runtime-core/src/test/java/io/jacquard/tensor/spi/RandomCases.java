package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.SIZES;
import static io.jacquard.tensor.spi.Trial.normal;
import static io.jacquard.tensor.spi.Trial.values;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.Arrays;

/// Random numbers and dropout: what a function of (seed, counters, site, index) must keep, and that it looks random.
final class RandomCases {
    private static final int MANY = 40_000;
    private static final long SEED = 0x1234_5678_9abc_def0L;

    private RandomCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            statistics(table, dtype);
            for (int n : SIZES) {
                prefix(table, dtype, n);
                for (float beta = 0; beta <= 1; beta++) {
                    dropout(table, dtype, n, 0, 0.25f, beta);
                }
                dropout(table, dtype, n, 0, 0f, 0);
            }
            // blocks of the generator begin at multiples of 4; their index has more than 32 bits
            for (long first : new long[] {1, 2, 3, 4, 256, (5L << 34) + 8, (5L << 34) + 15}) {
                dropout(table, dtype, 33, first, 0.25f, 1);
                dropout(table, dtype, 1023, first, 0.25f, 0);
            }
            mask(table, dtype);
        }
    }

    private static void statistics(Table table, DType dtype) {
        table.add("random", "special: normal " + dtype, t -> {
            Operand out = t.out("out", dtype, MANY);
            t.run(k -> k.random(out.tensor(), 0.02f, SEED, 3));
            t.expectThat(out, got -> {
                moments(got, 0, 0.02, 3 * Math.pow(0.02, 4));
                // standard normal: within one deviation 68.27 %, beyond three 0.27 %
                near("within one deviation", share(got, v -> Math.abs(v) < 0.02), 0.6827, dtype);
                near("beyond three deviations", share(got, v -> Math.abs(v) > 0.06), 0.0027, dtype);
                near("positive", share(got, v -> v > 0), 0.5, dtype);
            });
        });
        table.add("random", "special: uniform " + dtype, t -> {
            Operand out = t.out("out", dtype, MANY);
            t.run(k -> k.random(out.tensor(), 0f, SEED, 3));
            t.expectThat(out, got -> {
                moments(got, 0.5, Math.sqrt(1.0 / 12), 1.0 / 80);
                // rounding to bf16 or f16 may reach 1; below it there is none in F32
                assertTrue(
                        Arrays.stream(got).allMatch(v -> v >= 0 && (v < 1 || dtype != DType.F32 && v == 1)),
                        "in [0, 1)");
                for (int bucket = 0; bucket < 16; bucket++) {
                    double low = bucket / 16.0;
                    near("in bucket " + bucket, share(got, v -> v >= low && v < low + 1.0 / 16), 1.0 / 16, dtype);
                }
            });
        });
    }

    private interface Test {
        boolean of(double value);
    }

    private static double share(double[] got, Test test) {
        return Arrays.stream(got).filter(test::of).count() / (double) got.length;
    }

    /// Within five standard errors, plus what values moved by rounding to 8 bits may shift at a bucket's edge.
    private static void near(String what, double got, double expected, DType dtype) {
        double error = 5 * Math.sqrt(expected * (1 - expected) / MANY) + (dtype == DType.F32 ? 0 : expected * 0x1p-4);
        assertEquals(expected, got, error, what);
    }

    private static void moments(double[] got, double mean, double deviation, double fourthMoment) {
        double m = Arrays.stream(got).average().orElseThrow();
        double variance =
                Arrays.stream(got).map(v -> (v - mean) * (v - mean)).average().orElseThrow();
        assertEquals(mean, m, 5 * deviation / Math.sqrt(MANY), "mean");
        double errorOfVariance = Math.sqrt((fourthMoment - Math.pow(deviation, 4)) / MANY);
        assertEquals(deviation * deviation, variance, 5 * errorOfVariance, "variance");
        double neighbours = 0;
        for (int i = 1; i < got.length; i++) {
            neighbours += (got[i] - mean) * (got[i - 1] - mean);
        }
        assertEquals(0, neighbours / MANY, 5 * deviation * deviation / Math.sqrt(MANY), "covariance of neighbours");
    }

    /// An element depends on its index, not on how many there are or on the dtype; another seed or site changes it.
    private static void prefix(Table table, DType dtype, int n) {
        for (float deviation : new float[] {0, 1}) {
            table.add("random", n + " deviation " + deviation + " " + dtype, t -> {
                Operand whole = t.out("whole", DType.F32, 1500);
                Operand part = t.out("part", dtype, n);
                Operand otherSeed = t.out("otherSeed", DType.F32, 1500);
                Operand highSeed = t.out("highSeed", DType.F32, 1500);
                Operand otherSite = t.out("otherSite", DType.F32, 1500);
                t.run(k -> {
                    k.random(whole.tensor(), deviation, SEED, 5);
                    k.random(part.tensor(), deviation, SEED, 5);
                    k.random(otherSeed.tensor(), deviation, SEED + 1, 5);
                    k.random(highSeed.tensor(), deviation, SEED + (1L << 40), 5);
                    k.random(otherSite.tensor(), deviation, SEED, 6);
                });
                t.expectThat(
                        part,
                        got -> assertArrayEquals(
                                Reference.map(Arithmetic.EXACT, n, (_, i) -> Numbers.round(dtype, whole.got()[i])),
                                got));
                t.expectExactly(whole, philox(1500, deviation, 5));
                t.expectThat(whole, RandomCases::distinct);
                for (Operand other : new Operand[] {otherSeed, highSeed, otherSite}) {
                    t.expectThat(other, got -> {
                        double[] w = whole.got();
                        int same = 0;
                        for (int i = 0; i < w.length; i++) {
                            same += w[i] == got[i] ? 1 : 0;
                        }
                        assertTrue(same < 3, same + " values are as in 'whole'");
                    });
                }
            });
        }
    }

    /// Elements as [Philox] says; its own test compares it with the authors' known answers.
    private static double[] philox(int n, float deviation, int site) {
        int[] words = new int[4];
        float[] pair = new float[2];
        return Reference.map(Arithmetic.naive(), n, (m, i) -> {
            Philox.block(words, SEED, 0, 0, site, i / 4);
            if (deviation == 0) {
                return Philox.uniform(words[i % 4]);
            }
            Philox.normals(pair, 0, words[i % 4 / 2 * 2], words[i % 4 / 2 * 2 + 1]);
            return m.mul(deviation, pair[i % 2]);
        });
    }

    private static void distinct(double[] got) {
        long different = Arrays.stream(got).distinct().count();
        assertTrue(different > got.length - 3, got.length - different + " values repeat");
    }

    private static void dropout(Table table, DType dtype, int n, long first, float p, float beta) {
        String from = first == 0 ? "" : " from " + first;
        table.add("dropout", n + from + " p " + p + " beta " + beta + " " + dtype, t -> {
            Operand x = t.in("x", dtype, (r, _) -> 1 + r.nextDouble(), n);
            Operand counters = t.in("counters", DType.I32, values(12, 1), 2);
            Operand out = t.out("out", dtype, beta, n);
            t.run(k -> k.dropout(out.tensor(), x.tensor(), p, SEED, counters.tensor(), 9, first, beta));
            t.expectThat(out, got -> {
                int[] words = new int[4];
                for (int i = 0; i < n; i++) {
                    Philox.block(words, SEED, 12, 1, 9, (first + i) / 4);
                    boolean keep = Philox.uniform(words[(int) ((first + i) % 4)]) >= p;
                    double before = beta == 0 ? 0 : out.initial()[i];
                    double expected = before + (keep ? x.initial()[i] / (1 - p) : 0);
                    double error = keep ? Numbers.ulp(dtype, expected) + Numbers.ulp(DType.F32, 4) : 0;
                    assertEquals(expected, got[i], error, "element " + i + (keep ? " is kept" : " is dropped"));
                }
            });
        });
    }

    /// The mask is the same for the gradient, for a shorter tensor and for every dtype, and another one elsewhere.
    private static void mask(Table table, DType dtype) {
        table.add("dropout", "mask " + dtype, t -> {
            int n = 10_000;
            float p = 0.3f;
            Operand x = t.in("x", dtype, (r, _) -> 1 + r.nextDouble(), n);
            Operand dy = t.in("dy", DType.F32, normal(1), n);
            Operand counters = t.in("counters", DType.I32, values(12, 1, 13, 1, 12, 2), 3, 2);
            Operand out = t.out("out", dtype, n);
            Operand dx = t.out("dx", DType.F32, n);
            Operand shorter = t.out("shorter", dtype, 4097);
            Operand rest = t.out("rest", dtype, n - 4097);
            Operand[] others = new Operand[4];
            for (int i = 0; i < others.length; i++) {
                others[i] = t.out("other" + i, dtype, n);
            }
            t.run(k -> {
                k.dropout(out.tensor(), x.tensor(), p, SEED, counters.tensor().rows(0, 1), 9, 0, 0f);
                k.dropout(dx.tensor(), dy.tensor(), p, SEED, counters.tensor().rows(0, 1), 9, 0, 0f);
                k.dropout(
                        shorter.tensor(),
                        x.tensor().slice(0, shorter.tensor().shape()),
                        p,
                        SEED,
                        counters.tensor().rows(0, 1),
                        9,
                        0,
                        0f);
                k.dropout(
                        rest.tensor(),
                        x.tensor().slice(4097, rest.tensor().shape()),
                        p,
                        SEED,
                        counters.tensor().rows(0, 1),
                        9,
                        4097,
                        0f);
                k.dropout(
                        others[0].tensor(),
                        x.tensor(),
                        p,
                        SEED + 1,
                        counters.tensor().rows(0, 1),
                        9,
                        0,
                        0f);
                k.dropout(
                        others[1].tensor(),
                        x.tensor(),
                        p,
                        SEED,
                        counters.tensor().rows(0, 1),
                        10,
                        0,
                        0f);
                k.dropout(
                        others[2].tensor(),
                        x.tensor(),
                        p,
                        SEED,
                        counters.tensor().rows(1, 2),
                        9,
                        0,
                        0f);
                k.dropout(
                        others[3].tensor(),
                        x.tensor(),
                        p,
                        SEED,
                        counters.tensor().rows(2, 3),
                        9,
                        0,
                        0f);
            });
            t.expectThat(
                    out, got -> assertEquals(p, share(got, v -> v == 0), 5 * Math.sqrt(p * (1 - p) / n), "dropped"));
            t.expectThat(dx, got -> assertEquals(0, differences(out.got(), got), "the gradient's mask differs"));
            t.expectThat(
                    shorter, got -> assertEquals(0, differences(got, out.got()), "the shorter tensor's mask differs"));
            t.expectThat(
                    rest,
                    got -> assertArrayEquals(Arrays.copyOfRange(out.got(), 4097, n), got, "the rest of the tensor"));
            for (Operand other : others) {
                // independent masks differ in 2 p (1 - p) of all places
                double expected = 2 * p * (1 - p);
                t.expectThat(
                        other,
                        got -> assertEquals(
                                expected,
                                differences(out.got(), got) / (double) n,
                                5 * Math.sqrt(expected * (1 - expected) / n),
                                other.name + ": share of other decisions"));
            }
        });
    }

    /// In how many places of `a` one is dropped and the other is not.
    private static int differences(double[] a, double[] b) {
        int n = 0;
        for (int i = 0; i < a.length; i++) {
            n += (a[i] == 0) != (b[i] == 0) ? 1 : 0;
        }
        return n;
    }
}
