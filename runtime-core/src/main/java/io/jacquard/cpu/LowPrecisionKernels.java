package io.jacquard.cpu;

import static io.jacquard.cpu.CpuKernels.last;
import static io.jacquard.cpu.CpuKernels.rows;

import io.jacquard.cpu.LowPrecision.Grid;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// What [CpuKernels] does with low-precision matrices, in the same way: a launch holds no tensor.
final class LowPrecisionKernels {
    private final Workers workers;
    private final Consumer<Runnable> launches;

    LowPrecisionKernels(Workers workers, Consumer<Runnable> launches) {
        this.workers = workers;
        this.launches = launches;
    }

    private void launch(Runnable kernel) {
        launches.accept(kernel);
    }

    private static Grid grid(Scaled s) {
        Tensor zeros = s.zeros();
        Scaled.Blocks b = s.blocks();
        long at = zeros == null ? 0 : zeros.address();
        return new Grid(s.scales().address(), at, b.rows(), b.columns(), b.across(s.columns()));
    }

    void absMax(Tensor amax, Tensor x, float beta) {
        long a = amax.address();
        Operand o = Operand.of(x);
        long n = x.size();
        launch(() -> Quantization.absMax(workers, a, o, beta, n));
    }

    void scaleOf(Tensor scale, Tensor amax, DType type) {
        long s = scale.address();
        long a = amax.address();
        launch(() -> Quantization.scaleOf(s, a, type));
    }

    void quantize(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x) {
        Quantization.Copy o = copy(out);
        Quantization.Copy t = copy(transposed);
        Operand from = Operand.of(x);
        int rows = Math.toIntExact(rows(x));
        int columns = last(x);
        launch(() -> Quantization.run(workers, o, t, from, rows, columns));
    }

    private static Quantization.@Nullable Copy copy(@Nullable Scaled s) {
        return s == null
                ? null
                : new Quantization.Copy(
                        Operand.of(s.values()), grid(s), s.blocks().isWhole());
    }

    /// A kernel that makes rows of its result, `rows` by `columns` of `type`, and of them what is cast.
    void cast(Casts casts, @Nullable Tensor out, DType type, long rows, int columns, Casting.Producer producer) {
        Tensor amax = casts.amax();
        Casting c = new Casting(
                copy(casts.straight()),
                copy(casts.transposed()),
                amax == null ? 0 : amax.address(),
                type,
                Math.toIntExact(rows),
                columns);
        Operand o = Operand.ofNullable(out);
        launch(() -> c.run(workers, o, producer));
    }

    void dequantize(Tensor out, Scaled x) {
        Operand o = Operand.of(out);
        Operand values = Operand.of(x.values());
        Grid g = grid(x);
        int rows = x.rows();
        int columns = x.columns();
        launch(() -> Quantization.dequantize(workers, o, values, g, rows, columns));
    }

    void matmulScaled(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        Operand values = Operand.of(a.values());
        product(out, values, grid(a), b, true, new int[] {a.rows(), b.rows(), a.columns()}, beta, epilogue);
    }

    void matmulWeights(Tensor out, Tensor x, Scaled w, boolean transposed, float beta, Epilogue epilogue) {
        int[] sizes = {Math.toIntExact(rows(x)), last(out), last(x)};
        product(out, Operand.of(x), null, w, transposed, sizes, beta, epilogue);
    }

    /// `sizes`: rows, columns and the shared dimension.
    private void product(
            Tensor out,
            Operand a,
            @Nullable Grid gridA,
            Scaled b,
            boolean transposed,
            int[] sizes,
            float beta,
            Epilogue epilogue) {
        Gemm.Product p = new Gemm.Product(
                Operand.of(out),
                a,
                false,
                Operand.of(b.values()),
                transposed,
                sizes[0],
                sizes[1],
                sizes[2],
                beta,
                Operand.ofNullable(epilogue.bias()),
                Operand.ofNullable(epilogue.preActivation()),
                gridA,
                grid(b));
        launch(() -> Gemm.run(workers, p));
    }

    void delayScales(Tensor scales, Tensor history, Tensor amax, Tensor largest) {
        long s = scales.address();
        long h = history.address();
        long a = amax.address();
        long l = largest.address();
        int ranks = amax.shape().dim(0);
        int n = last(amax);
        int length = last(history);
        launch(() -> Quantization.delay(s, h, a, ranks, l, n, length));
    }
}
