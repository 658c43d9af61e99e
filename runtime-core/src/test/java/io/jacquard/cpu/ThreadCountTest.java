package io.jacquard.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.StateRounding;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The same bits with one, two and five threads, and when a launch is repeated.
final class ThreadCountTest {
    private static final int B = 3;
    private static final int T = 130;
    private static final int C = 192;
    private static final int V = 517;

    private int site;

    private Tensor random(DType type, int... dims) {
        Tensor t = Tensor.empty(Shape.of(dims), type);
        t.kernels().random(t, 1f, 7, site++);
        return t;
    }

    private Tensor ids(int n, int below) {
        int[] values = new int[n];
        for (int i = 0; i < n; i++) {
            values[i] = (int) (i * 2654435761L % below);
        }
        return Tensor.of(Shape.of(B, T), values);
    }

    private List<float[]> results(int threads, DType type) {
        Workers workers = new Workers(threads);
        site = 0;
        List<Tensor> out = new ArrayList<>();
        List<float[]> values = new ArrayList<>();
        try (Session session = Session.over(new CpuBackend(Device.parse("cpu"), workers))) {
            Kernels k = session.backend().kernels();
            matmuls(k, type, out);
            rows(k, type, out);
            attention(k, type, out);
            wholeTensors(k, type, out);
            out.forEach(t -> values.add(t.toFloats()));
        } finally {
            workers.stop();
        }
        return values;
    }

    private void matmuls(Kernels k, DType type, List<Tensor> out) {
        Tensor x = random(type, B * T, C);
        Tensor w = random(type, 4 * C, C);
        Tensor y = random(type, B * T, 4 * C);
        Tensor pre = random(type, B * T, 4 * C);
        k.matmul(y, x, false, w, true, 0f, Epilogue.gelu(random(type, 4 * C), pre));
        Tensor dw = random(DType.F32, 4 * C, C);
        k.matmul(dw, y, true, x, false, 1f, Epilogue.NONE);
        Tensor dx = random(type, B * T, C);
        k.matmul(dx, y, false, w, false, 1f, Epilogue.NONE);
        Tensor wide = random(type, 9, 4 * V);
        k.matmul(wide, random(type, 9, C), false, random(type, 4 * V, C), true, 0f, Epilogue.NONE);
        out.addAll(List.of(y, pre, dw, dx, wide));
    }

    private void rows(Kernels k, DType type, List<Tensor> out) {
        Tensor x = random(type, B * T, C);
        Tensor dy = random(type, B * T, C);
        Tensor w = random(type, C);
        Tensor b = random(type, C);
        Tensor mean = random(DType.F32, B * T);
        Tensor rstd = random(DType.F32, B * T);
        Tensor y = random(type, B * T, C);
        k.layerNorm(y, null, mean, rstd, x, null, w, b, 1e-5f);
        Tensor dx = random(type, B * T, C);
        Tensor dw = random(DType.F32, C);
        Tensor db = random(DType.F32, C);
        k.layerNormGrad(dx, 1f, dw, db, 1f, dy, x, mean, rstd, w);
        Tensor sums = random(DType.F32, C);
        k.sumRows(sums, x, 0f);
        Tensor logits = random(type, B * T, V);
        Tensor losses = random(DType.F32, B * T);
        k.crossEntropy(losses, logits, ids(B * T, V), Tensor.of(Shape.of(1), 0.125f));
        Tensor dTable = random(DType.F32, V, C);
        k.embeddingGrad(dTable, dy, ids(B * T, 40), 0, 1f);
        out.addAll(List.of(y, mean, rstd, dx, dw, db, sums, logits, losses, dTable));
    }

    private void attention(Kernels k, DType type, List<Tensor> out) {
        Tensor qkv = random(type, B, T, (6 + 4) * 32);
        Tensor y = random(type, B, T, 6 * 32);
        Tensor lse = random(DType.F32, B, 6, T);
        Tensor dQkv = random(type, B, T, (6 + 4) * 32);
        k.attention(y, lse, qkv, 6, 2);
        k.attentionGrad(dQkv, random(type, B, T, 6 * 32), qkv, y, lse, 6, 2);
        out.addAll(List.of(y, lse, dQkv));
    }

    private void wholeTensors(Kernels k, DType type, List<Tensor> out) {
        int n = 300_001;
        Tensor g = random(type, n);
        Tensor norm = random(DType.F32, 2);
        k.norm(norm, g);
        Tensor sum = random(DType.F32, 1);
        k.sum(sum, g);
        Tensor master = random(DType.F32, n);
        Tensor m = random(DType.F32, n);
        Tensor v = Tensor.zeros(Shape.of(n), DType.F32);
        Tensor values = random(type, n);
        Tensor decays = Tensor.zeros(Shape.of(n / 256 + 1), DType.U8);
        k.fill(decays.rows(3, 700), 1f);
        adamW(k, values, master, m, v, g, norm, decays, null);
        Tensor origins = Tensor.zeros(Shape.of(n / 256 + 1, 2), DType.I32);
        Tensor rounded = random(DType.BF16, n);
        Tensor mean = random(DType.BF16, n);
        Tensor square = Tensor.zeros(Shape.of(n), DType.BF16);
        StateRounding rounding = new StateRounding(8, Tensor.of(Shape.of(1), 3), origins);
        adamW(k, rounded, rounded, mean, square, g, norm, decays, rounding);
        Tensor dropped = random(type, n);
        k.dropout(dropped, g, 0.1f, 5, Tensor.of(Shape.of(2), 4, 1), 77, 0, 1f);
        out.addAll(List.of(norm, sum, master, m, v, values, rounded, mean, square, dropped));
    }

    private static void adamW(
            Kernels k,
            Tensor values,
            Tensor master,
            Tensor m,
            Tensor v,
            Tensor g,
            Tensor norm,
            Tensor decays,
            @Nullable StateRounding rounding) {
        k.adamW(
                values,
                master,
                m,
                v,
                g,
                Tensor.of(Shape.of(1), 1e-3f),
                Tensor.of(Shape.of(1), 3),
                norm,
                decays,
                0.9f,
                0.95f,
                1e-8f,
                0.1f,
                1f,
                rounding);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void sameBits(DType type) {
        List<float[]> one = results(1, type);
        for (int threads : new int[] {2, 5, 2}) {
            List<float[]> other = results(threads, type);
            for (int i = 0; i < one.size(); i++) {
                assertArrayEquals(one.get(i), other.get(i), type + ", result " + i + ", " + threads + " threads");
            }
        }
    }
}
