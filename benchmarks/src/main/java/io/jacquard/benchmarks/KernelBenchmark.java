package io.jacquard.benchmarks;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Single launches at the shapes of GPT-2 124M (12 heads, 768 wide, T=256, B=4). A launch of the CPU backend returns
/// when it is done.
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class KernelBenchmark {
    private static final int BATCH = 4;
    private static final int TIME = 256;
    private static final int HEADS = 12;
    private static final int WIDTH = 768;

    /// A session of the thread that measures.
    @State(Scope.Thread)
    @SuppressWarnings("NullAway.Init") // by JMH's calls of setup methods
    public static class Device {
        @Param("cpu")
        private String device = "";

        @Param({"F32", "BF16"})
        private DType dtype = DType.F32;

        private Session session;

        @Setup
        public void open() {
            session = Session.open(device);
        }

        Tensor normal(int... dims) {
            Tensor t = Tensor.empty(Shape.of(dims), dtype);
            t.kernels().random(t, 0.02f, 1, Arrays.hashCode(dims));
            return t;
        }

        @TearDown
        public void close() {
            session.close();
        }
    }

    /// `x[m, k] weight[n, k]ᵀ`: the four products of a block and the head, forward, and their gradients.
    @State(Scope.Thread)
    public static class Product {
        @Param({"1024x2304x768", "1024x768x768", "1024x3072x768", "1024x768x3072", "1024x50257x768"})
        private String size = "";

        private Tensor[] operands = {};

        @Setup
        public void allocate(Device device) {
            int[] mnk = Arrays.stream(size.split("x", -1))
                    .mapToInt(Integer::parseInt)
                    .toArray();
            operands = new Tensor[] {
                device.normal(mnk[0], mnk[1]), device.normal(mnk[0], mnk[2]), device.normal(mnk[1], mnk[2])
            };
        }
    }

    @Benchmark
    public Tensor linear(Product p) {
        Tensor y = p.operands[0];
        y.kernels().matmul(y, p.operands[1], false, p.operands[2], true, 0f, Epilogue.NONE);
        return y;
    }

    @Benchmark
    public Tensor linearInputGradient(Product p) {
        Tensor dx = p.operands[1];
        dx.kernels().matmul(dx, p.operands[0], false, p.operands[2], false, 0f, Epilogue.NONE);
        return dx;
    }

    @Benchmark
    public Tensor linearWeightGradient(Product p) {
        Tensor dw = p.operands[2];
        dw.kernels().matmul(dw, p.operands[0], true, p.operands[1], false, 0f, Epilogue.NONE);
        return dw;
    }

    /// Attention of one block.
    @State(Scope.Thread)
    @SuppressWarnings("NullAway.Init") // by JMH's calls of setup methods
    public static class Heads {
        private Operands operands;

        private record Operands(Tensor qkv, Tensor dQkv, Tensor out, Tensor lse) {}

        @Setup
        public void allocate(Device device) {
            Tensor qkv = device.normal(BATCH, TIME, 3 * WIDTH);
            Tensor dQkv = device.normal(BATCH, TIME, 3 * WIDTH);
            Tensor out = device.normal(BATCH, TIME, WIDTH);
            Tensor lse = Tensor.zeros(Shape.of(BATCH, HEADS, TIME), DType.F32);
            out.kernels().attention(out, lse, qkv, HEADS, HEADS);
            operands = new Operands(qkv, dQkv, out, lse);
        }
    }

    @Benchmark
    public Tensor attention(Heads h) {
        Heads.Operands o = h.operands;
        o.out.kernels().attention(o.out, o.lse, o.qkv, HEADS, HEADS);
        return o.out;
    }

    @Benchmark
    public Tensor attentionGradient(Heads h) {
        Heads.Operands o = h.operands;
        o.dQkv.kernels().attentionGrad(o.dQkv, o.out, o.qkv, o.out, o.lse, HEADS, HEADS);
        return o.dQkv;
    }
}
