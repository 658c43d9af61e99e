package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The formulas of `docs/kernels.md`, and what they leave out: vectors and scalars beside matrices.
final class WorkTest {
    private static final int N = 6; // rows: B T
    private static final int T = 3;
    private static final int C = 8; // columns: H D
    private static final int H = 4;
    private static final int D = 2;

    private final Set<String> seen = new TreeSet<>();
    private Session session;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
    }

    @AfterEach
    void close() {
        session.close();
    }

    private static Tensor bf16(int... dims) {
        return Tensor.empty(Shape.of(dims), DType.BF16);
    }

    private static Tensor f32(int... dims) {
        return Tensor.empty(Shape.of(dims), DType.F32);
    }

    private static Tensor i32(int... dims) {
        return Tensor.empty(Shape.of(dims), DType.I32);
    }

    private void streams(int bytes, int operations, Consumer<Kernels> call) {
        assertEquals(new Work(bytes, operations, null), Work.of(call), this::name);
        name(call);
    }

    private void multiplies(int bytes, int operations, Consumer<Kernels> call) {
        assertEquals(new Work(bytes, operations, DType.BF16), Work.of(call), this::name);
        name(call);
    }

    private void name(Consumer<Kernels> call) {
        call.accept((Kernels) Proxy.newProxyInstance(
                Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, (_, method, _) -> {
                    seen.add(method.getName());
                    return null;
                }));
    }

    private String name() {
        return "the call after " + seen;
    }

    @Test
    void everyMethodHasItsWork() {
        moving();
        elementwise();
        products();
        lowPrecision();
        norms();
        attention();
        tokens();
        optimizers();
        assertEquals(
                Arrays.stream(Kernels.class.getDeclaredMethods())
                        .map(Method::getName)
                        .filter(n -> !n.contains("$"))
                        .collect(Collectors.toCollection(TreeSet::new)),
                seen);
    }

    private void moving() {
        Tensor x = bf16(N, C);
        streams(2 * N * C, 0, k -> k.fill(x, 1f));
        streams(6 * N * C, N * C, k -> k.cast(f32(N, C), x));
        long[] strides = {C, 1};
        int[] part = {T, 2};
        streams(2 * 2 * 6, 0, k -> k.copy(bf16(N, C), 0, strides, x, 0, strides, part, 0f));
        streams(3 * 2 * 6, 6, k -> k.copy(bf16(N, C), 0, strides, x, 0, strides, part, 1f));
        streams(2 * N * C, 45 * N * C, k -> k.random(x, 1f, 1, 1));
        streams(2 * N * C, 20 * N * C, k -> k.random(x, 0f, 1, 1));
    }

    private void elementwise() {
        Tensor x = bf16(N, C);
        Tensor y = bf16(N, C);
        int n = N * C;
        streams(2 * 2 * n, 2 * n, k -> k.axpby(y, 2f, x, 0f));
        streams((2 + 4 + 4) * n, 2 * n, k -> k.axpby(f32(N, C), 2f, x, 1f));
        streams(2 * 2 * n + 4, n, k -> k.scale(y, x, f32(1)));
        streams(3 * 2 * n, n, k -> k.add(y, x, x));
        streams(4 * 2 * n, 2 * n, k -> k.mul(y, x, bf16(N, C), 1f));
        streams(2 * 2 * n + 2 * C, n, k -> k.addRow(y, x, bf16(C)));
        streams(2 * 2 * n, 10 * n, k -> k.gelu(y, x));
        streams(3 * 2 * n, 16 * n, k -> k.geluGrad(x, y, x, 0f));
        streams(3 * n, 8 * n / 2, k -> k.swiGlu(bf16(N, C / 2), x));
        streams(7 * n, 16 * n / 2, k -> k.swiGluGrad(y, bf16(N, C / 2), x, 1f));
        Scaled eight = Scaled.empty(N, C, DType.F8E4M3, Scaled.Blocks.WHOLE);
        Casts casts = new Casts(eight, eight, f32(1));
        streams(2 * n + 2 * (n + 4) + 8, 10 * n, k -> k.gelu(null, x, casts));
        streams(3 * 2 * n + 2 * (n + 4) + 8, 16 * n, k -> k.geluGrad(x, y, x, 0f, casts));
        streams(2 * n + 8, 8 * n / 2, k -> k.swiGlu(null, x, Casts.amax(f32(1))));
        streams(3 * 2 * n + 8, 20 * n, k -> k.dropout(y, x, 0.1f, 1, i32(2), 1, 0, 1f));
    }

    private void products() {
        Tensor y = bf16(2, T, 5);
        Tensor x = bf16(2, T, C);
        Tensor w = bf16(5, C);
        int once = 2 * (N * 5 + N * C + 5 * C);
        multiplies(once, 2 * N * 5 * C, k -> k.matmul(y, x, false, w, true, 0f, Epilogue.NONE));
        multiplies(once, 2 * N * 5 * C, k -> k.matmul(x, y, false, w, false, 0f, Epilogue.NONE));
        multiplies(
                2 * (N * 5 + N * C) + 2 * 4 * 5 * C,
                2 * N * 5 * C,
                k -> k.matmul(f32(5, C), y, true, x, false, 1f, Epilogue.NONE));
        multiplies(
                once + 2 * N * 5 + 2 * 5,
                2 * N * 5 * C,
                k -> k.matmul(y, x, false, w, true, 0f, Epilogue.gelu(bf16(5), bf16(2, T, 5))));
        streams(2 * N * C + 2 * 4 * C, N * C, k -> k.sumRows(f32(C), x, 1f));
        streams(2 * N * C + 4, N * C, k -> k.sum(f32(1), x));
    }

    private void lowPrecision() {
        Tensor x = bf16(N, C);
        Scaled a = Scaled.empty(N, C, DType.F8E4M3, Scaled.Blocks.ROWS);
        Scaled t = Scaled.empty(C, N, DType.F8E4M3, Scaled.Blocks.WHOLE);
        Scaled b = Scaled.empty(5, C, DType.F8E4M3, Scaled.Blocks.ROWS);
        streams(2 * N * C + 2 * 4, N * C, k -> k.absMax(f32(1), x, 1f));
        streams(8, 1, k -> k.scaleOf(f32(1), f32(1), DType.I8));
        streams(3 * N * C + 4 * N, N * C, k -> k.quantize(a, null, x));
        streams(4 * N * C + 4 * N + 4, 2 * N * C, k -> k.quantize(a, t, x));
        streams(3 * N * C + 4 * N, N * C, k -> k.dequantize(x, a));
        assertEquals(
                new Work(N * C + 5 * C + 4 * (N + 5) + 2 * 4 * N * 5, 2 * N * 5 * C, DType.F8E4M3),
                Work.of(k -> k.matmulScaled(f32(N, 5), a, b, 1f, Epilogue.NONE)));
        name(k -> k.matmulScaled(f32(N, 5), a, b, 1f, Epilogue.NONE));
        Scaled w = new Scaled(
                Tensor.empty(Shape.of(5, C), DType.I4),
                f32(5, 2),
                Tensor.empty(Shape.of(5, 2), DType.I8),
                Scaled.Blocks.groups(4));
        int weights = 5 * C / 2 + 5 * 2 * (4 + 1);
        multiplies(
                2 * (N * C + N * 5) + weights,
                2 * N * 5 * C,
                k -> k.matmulWeights(bf16(N, 5), x, w, true, 0f, Epilogue.NONE));
        multiplies(
                2 * (2 * N * C + N * 5) + weights,
                2 * N * 5 * C,
                k -> k.matmulWeights(x, bf16(N, 5), w, false, 1f, Epilogue.NONE));
        streams(2 * 4 * (3 * 7 + 2 * 3) + 2 * 4 * 3, 3 * 7, k -> k.delayScales(f32(3), f32(3, 7), f32(2, 3), f32(3)));
    }

    private void norms() {
        Tensor x = bf16(N, C);
        Tensor y = bf16(N, C);
        Tensor total = bf16(N, C);
        Tensor w = bf16(C);
        Tensor mean = f32(N);
        Tensor rstd = f32(N);
        Tensor dw = f32(C);
        int s = 2 * N * C;
        streams(2 * s + 8 * N + 4 * C, 8 * N * C, k -> k.layerNorm(y, null, mean, rstd, x, null, w, bf16(C), 1e-5f));
        streams(4 * s + 8 * N + 4 * C, 8 * N * C, k -> k.layerNorm(y, total, mean, rstd, x, y, w, bf16(C), 1e-5f));
        streams(2 * s + 4 * N + 2 * C, 5 * N * C, k -> k.rmsNorm(y, null, rstd, x, null, w, 1e-5f));
        streams(4 * s + 4 * N + 2 * C, 5 * N * C, k -> k.rmsNorm(y, total, rstd, x, y, w, 1e-5f));
        streams(
                4 * s + 8 * N + 2 * C + 2 * 4 * C,
                18 * N * C,
                k -> k.layerNormGrad(total, 1f, dw, f32(C), 0f, y, x, mean, rstd, w));
        streams(
                2 * s + 8 * N + 2 * C + 4 * 4 * C,
                18 * N * C,
                k -> k.layerNormGrad(null, 0f, dw, f32(C), 1f, y, x, mean, rstd, w));
        streams(3 * s + 4 * N + 2 * C, 15 * N * C, k -> k.rmsNormGrad(total, 0f, null, 0f, y, x, rstd, w));
    }

    private void attention() {
        int kv = 2;
        Tensor qkv = bf16(2, T, (H + 2 * kv) * D);
        Tensor out = bf16(2, T, H * D);
        Tensor lse = f32(2, H, T);
        int statistics = 4 * 2 * H * T;
        multiplies(
                N * (2 * H + 2 * kv) * D * 2 + statistics,
                2 * 2 * H * T * T * D,
                k -> k.attention(out, lse, qkv, H, kv));
        multiplies(
                N * (4 * H + 4 * kv) * D * 2 + statistics,
                5 * 2 * H * T * T * D,
                k -> k.attentionGrad(bf16(2, T, (H + 2 * kv) * D), bf16(2, T, H * D), qkv, out, lse, H, kv));
        Tensor x = bf16(2, T, 10);
        streams(2 * 2 * N * 10, 4 * N * 10 + 60 * T * 2, k -> k.rope(bf16(2, T, 10), x, 2, 4, 1e4f, 0, false));
        streams(2 * 2 * N * 8, 4 * N * 8 + 60 * T * 2, k -> k.rope(x, x, 2, 4, 1e4f, 0, true));
        Tensor p = bf16(N, C);
        streams(2 * 2 * N * C, 6 * N * C, k -> k.softmax(bf16(N, C), p));
        streams(4 * 2 * N * C, 5 * N * C, k -> k.softmaxGrad(bf16(N, C), bf16(N, C), p, 1f));
    }

    private void tokens() {
        int rows = 100;
        Tensor table = bf16(rows, C);
        Tensor ids = i32(2, T);
        Tensor x = bf16(2, T, C);
        streams(2 * 2 * N * C + 4 * N, N * C, k -> k.embedding(x, table, ids, 0, rows, null));
        streams(2 * 2 * N * C + 4 * N + 2 * T * C, N * C, k -> k.embedding(x, table, ids, 0, rows, bf16(50, C)));
        streams(2 * N * C + 4 * N + 4 * rows * C, N * C, k -> k.embeddingGrad(f32(rows, C), x, ids, 0, 0f));
        streams(2 * N * C + 4 * N + 2 * 4 * N * C, N * C, k -> k.embeddingGrad(f32(rows, C), x, ids, 0, 1f));
        streams(2 * N * C + 4 * N + 2 * 4 * 2 * C, N * C, k -> k.embeddingGrad(f32(2, C), x, ids, 0, 1f));
        streams(2 * N * C + 8 * N, 5 * N * C, k -> k.crossEntropy(f32(N), x, i32(N), null));
        streams(4 * N * C + 8 * N + 4, 10 * N * C, k -> k.crossEntropy(f32(N), x, i32(N), f32(1)));
        streams(2 * N * C + 16 * N, 5 * N * C, k -> k.crossEntropyStats(f32(3, N), x, i32(N), 5));
        Tensor stats = f32(2, 3, N);
        streams(32 * N, 10 * N, k -> k.crossEntropyShard(f32(N), x, i32(N), 5, stats, null));
        streams(
                4 * N * C + 32 * N + 4,
                5 * N * C + 10 * N,
                k -> k.crossEntropyShard(f32(N), x, i32(N), 5, stats, f32(1)));
    }

    private void optimizers() {
        int n = 512;
        Tensor decays = Tensor.empty(Shape.of(2), DType.U8);
        Tensor master = f32(n);
        Tensor m = f32(n);
        Tensor v = f32(n);
        Tensor g = bf16(n);
        streams(2 * n + 8, 2 * n, k -> k.norm(f32(2), g));
        streams(12, 1, k -> k.count(i32(1), f32(2), 1));
        int scalars = 4 + 4 + 8 + 2;
        streams(28 * n + scalars, 30 * n, k -> adamW(k, bf16(n), master, m, v, g, decays, null));
        streams(26 * n + scalars, 30 * n, k -> adamW(k, master, master, m, v, g, decays, null));
        streams(20 * n + scalars - 4, 6 * n, k -> sgd(k, bf16(n), master, m, g, decays, null));
        streams(18 * n + scalars - 4, 6 * n, k -> sgd(k, master, master, m, g, decays, null));
        Tensor w = bf16(n);
        StateRounding rounding = new StateRounding(0, i32(1), i32(2, 2));
        int drawn = 4 + 2 * 8;
        streams(14 * n + scalars + drawn, 66 * n, k -> adamW(k, w, w, bf16(n), bf16(n), g, decays, rounding));
        streams(10 * n + scalars - 4 + drawn, 36 * n, k -> sgd(k, w, w, bf16(n), g, decays, rounding));
    }

    private static void adamW(
            Kernels k,
            Tensor values,
            Tensor master,
            Tensor m,
            Tensor v,
            Tensor g,
            Tensor decays,
            @Nullable StateRounding rounding) {
        k.adamW(values, master, m, v, g, f32(1), i32(1), f32(2), decays, 0.9f, 0.99f, 1e-8f, 0.1f, 1f, rounding);
    }

    private static void sgd(
            Kernels k,
            Tensor values,
            Tensor master,
            Tensor b,
            Tensor g,
            Tensor decays,
            @Nullable StateRounding rounding) {
        k.sgd(values, master, b, g, f32(1), f32(2), decays, 0.9f, 0.1f, 1f, rounding);
    }

    @Test
    void isOfOneCall() {
        Tensor x = f32(4);
        assertEquals(
                "work: 0 kernel calls instead of one",
                assertThrows(IllegalArgumentException.class, () -> Work.of(_ -> {}))
                        .getMessage());
        assertEquals(
                "work: 2 kernel calls instead of one",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> Work.of(k -> {
                                    k.fill(x, 0f);
                                    k.gelu(x, x);
                                }))
                        .getMessage());
    }
}
