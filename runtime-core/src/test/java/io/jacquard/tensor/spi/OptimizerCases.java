package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.Trial.constant;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import org.jspecify.annotations.Nullable;

/// Gradient norm, step counter, AdamW and SGD over flat tensors.
final class OptimizerCases {
    private static final int[] SIZES = {1, 7, 33, 256, 300, 1023, 4099};
    private static final float RATE = 1e-3f;
    private static final float BETA1 = 0.9f;
    private static final float BETA2 = 0.95f;
    private static final float EPSILON = 1e-8f;
    private static final float DECAY = 0.1f;

    private OptimizerCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            for (int n : SIZES) {
                norm(table, dtype, n);
            }
            largeNorm(table, dtype);
        }
        table.add("count", "a step that counts, and one that does not", t -> {
            Operand counter = t.in("counter", DType.I32, constant(41), 1);
            Operand flag = t.in("flag", DType.F32, Trial.values(7, 1, 0), 3);
            t.run(k -> {
                k.count(counter.tensor(), flag.tensor(), 1);
                k.count(counter.tensor(), flag.tensor(), 2);
                k.count(counter.tensor(), flag.tensor(), 1);
            });
            t.expectExactly(counter, 43);
        });
        for (DType values : FLOATS) {
            for (DType gradients : FLOATS) {
                for (int n : SIZES) {
                    for (Clip clip : Clip.values()) {
                        both(table, new Settings(n, values, gradients, State.F32, clip));
                        if (values == DType.BF16) {
                            both(table, new Settings(n, values, gradients, State.ROUNDED, clip));
                        }
                    }
                    if (values == DType.F32) {
                        both(table, new Settings(n, values, gradients, State.VALUES, Clip.ACTIVE));
                    }
                }
            }
        }
    }

    private static void both(Table table, Settings s) {
        adamW(table, s);
        sgd(table, s);
    }

    private static void norm(Table table, DType dtype, int n) {
        table.add("norm", n + " " + dtype, t -> {
            Operand g = t.in("gradients", dtype, normal(1), n);
            Operand out = t.out("out", DType.F32, 2);
            t.run(k -> k.norm(out.tensor(), g.tensor()));
            t.expect(out, m -> new double[] {Reference.norm(m, g.initial()), 1});
        });
        for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
            table.add("norm", "special: last of " + n + " is " + bad + " " + dtype, t -> {
                Operand g = t.in("gradients", dtype, (r, i) -> i == n - 1 ? bad : r.nextGaussian(), n);
                Operand out = t.out("out", DType.F32, 2);
                t.run(k -> k.norm(out.tensor(), g.tensor()));
                t.expectThat(out, got -> {
                    if (got[1] != 0) {
                        throw new AssertionError("finite is " + got[1] + " though a gradient is " + bad);
                    }
                });
            });
        }
    }

    /// Squares that F32 cannot hold are no reason to refuse a step.
    private static void largeNorm(Table table, DType dtype) {
        double large = dtype == DType.F16 ? 60000 : 1e25;
        table.add("norm", "special: squares are large " + dtype, t -> {
            Operand g = t.in("gradients", dtype, (_, i) -> i % 300 == 7 ? large : 0, 1023);
            Operand out = t.out("out", DType.F32, 2);
            t.run(k -> k.norm(out.tensor(), g.tensor()));
            t.expectExactly(out, 2 * g.initial()[7], 1); // four of them
        });
    }

    /// Off: `clip` is 0. Idle: the norm is below it. Active: above. Refused: the step is not finite.
    private enum Clip {
        REFUSED,
        OFF,
        IDLE,
        ACTIVE
    }

    /// F32 with a master, F32 whose values are the master, or BF16, rounded stochastically.
    private enum State {
        F32(""),
        VALUES(" are the master"),
        ROUNDED(" rounded stochastically");

        private final String said;

        State(String said) {
            this.said = said;
        }
    }

    private record Settings(int n, DType values, DType gradients, State state, Clip clip) {
        String name() {
            return n + " values " + values + state.said + " gradients " + gradients + " clip " + clip;
        }

        boolean oneTensor() {
            return state != State.F32;
        }

        DType stateType() {
            return state == State.ROUNDED ? DType.BF16 : DType.F32;
        }

        float limit() {
            return clip == Clip.OFF ? 0 : 1;
        }

        double normValue() {
            return clip == Clip.IDLE ? 0.5 : clip == Clip.REFUSED ? Double.NaN : 3.7;
        }

        double factor(Arithmetic m) {
            return clip == Clip.ACTIVE ? m.div(1, m.add((float) normValue(), 1e-6f)) : 1;
        }
    }

    /// What both optimizers work on.
    private record Flat(
            Settings s,
            Operand values,
            Operand master,
            Operand gradients,
            Operand rate,
            Operand norm,
            Operand decays,
            @Nullable Draws draws) {
        static Flat of(Trial t, Settings s) {
            Operand master = t.in("master", s.stateType(), normal(1), s.n);
            Operand values = s.oneTensor() ? master : t.in("values", s.values, Trial.values(master.initial()), s.n);
            return new Flat(
                    s,
                    values,
                    master,
                    t.in("gradients", s.gradients, normal(1), s.n),
                    t.in("learningRate", DType.F32, constant(RATE), 1),
                    t.in("norm", DType.F32, Trial.values(s.normValue(), s.clip == Clip.REFUSED ? 0 : 1), 2),
                    t.in("decays", DType.U8, (_, i) -> i % 2, (s.n + 255) / 256),
                    s.state == State.ROUNDED ? Draws.of(t, s.n) : null);
        }

        @Nullable
        StateRounding rounding() {
            return draws == null ? null : draws.rounding();
        }

        double gradient(Arithmetic m, int i) {
            return m.mul(gradients.initial()[i], s.factor(m));
        }

        double decay(int i) {
            return decays.initial()[i / 256] * DECAY;
        }

        /// `state` after the step: of BF16 rounded by `bits`.
        void expect(Trial t, Operand state, Draws.Bits bits, Reference.Element next) {
            if (draws == null) {
                t.expect(state, m -> Reference.map(m, s.n, next));
            } else {
                draws.expect(t, state, bits, m -> Reference.map(m, s.n, next));
            }
        }

        /// The master after the step by `update`, and its rounding in the values.
        void expect(Trial t, Reference.Element update) {
            Reference.Element stepped = (m, i) -> {
                double w = master.initial()[i];
                double rate = rate().initial()[0];
                return m.add(m.add(w, -m.mul(m.mul(rate, decay(i)), w)), -m.mul(rate, update.at(m, i)));
            };
            expect(t, master, Draws.Bits.LOW, stepped);
            if (!s.oneTensor()) {
                t.expect(values, m -> Reference.map(m, s.n, stepped));
                t.expectThat(values, got -> {
                    double[] rounded = master.got();
                    for (int i = 0; i < got.length; i++) {
                        if (got[i] != Numbers.round(s.values, rounded[i])) {
                            throw new AssertionError("values[" + i + "] is " + got[i] + ", the master " + rounded[i]);
                        }
                    }
                });
            }
        }

        /// A refused step leaves everything as it was.
        void expectNothing(Trial t, Operand... state) {
            t.expectExactly(master, master.initial());
            t.expectExactly(values, values.initial());
            for (Operand o : state) {
                t.expectExactly(o, o.initial());
            }
        }
    }

    private static void adamW(Table table, Settings s) {
        for (int step : new int[] {1, 100}) {
            table.add("adamW", s.name() + " step " + step, t -> {
                Flat f = Flat.of(t, s);
                Operand mean = t.in("m", s.stateType(), step == 1 ? constant(0) : normal(0.1), s.n);
                Operand square =
                        t.in("v", s.stateType(), step == 1 ? constant(0) : (r, _) -> r.nextDouble(0.01, 1), s.n);
                Operand counter = t.in("step", DType.I32, constant(step), 1);
                t.run(k -> k.adamW(
                        f.values.tensor(),
                        f.master.tensor(),
                        mean.tensor(),
                        square.tensor(),
                        f.gradients.tensor(),
                        f.rate.tensor(),
                        counter.tensor(),
                        f.norm.tensor(),
                        f.decays.tensor(),
                        BETA1,
                        BETA2,
                        EPSILON,
                        DECAY,
                        s.limit(),
                        f.rounding()));
                if (s.clip == Clip.REFUSED) {
                    f.expectNothing(t, mean, square);
                    return;
                }
                Reference.Element newMean =
                        (m, i) -> m.add(m.mul(BETA1, mean.initial()[i]), m.mul(m.add(1, -BETA1), f.gradient(m, i)));
                Reference.Element newSquare = (m, i) -> m.add(
                        m.mul(BETA2, square.initial()[i]),
                        m.mul(m.add(1, -BETA2), m.mul(f.gradient(m, i), f.gradient(m, i))));
                f.expect(t, mean, Draws.Bits.HIGH, newMean);
                f.expect(t, square, Draws.Bits.SUM, newSquare);
                f.expect(t, (m, i) -> {
                    double hat = m.div(newMean.at(m, i), m.add(1, -m.pow(BETA1, step)));
                    double root = m.sqrt(m.div(newSquare.at(m, i), m.add(1, -m.pow(BETA2, step))));
                    return m.div(hat, m.add(root, EPSILON));
                });
            });
        }
    }

    private static void sgd(Table table, Settings s) {
        for (float factor : new float[] {0, 0.9f}) {
            table.add("sgd", s.name() + " momentum " + factor, t -> {
                Flat f = Flat.of(t, s);
                Operand momentum = t.in("momentum", s.stateType(), normal(1), s.n);
                t.run(k -> k.sgd(
                        f.values.tensor(),
                        f.master.tensor(),
                        momentum.tensor(),
                        f.gradients.tensor(),
                        f.rate.tensor(),
                        f.norm.tensor(),
                        f.decays.tensor(),
                        factor,
                        DECAY,
                        s.limit(),
                        f.rounding()));
                if (s.clip == Clip.REFUSED) {
                    f.expectNothing(t, momentum);
                    return;
                }
                Reference.Element next = (m, i) -> m.fma(factor, momentum.initial()[i], f.gradient(m, i));
                f.expect(t, momentum, Draws.Bits.HIGH, next);
                f.expect(t, next);
            });
        }
    }
}
