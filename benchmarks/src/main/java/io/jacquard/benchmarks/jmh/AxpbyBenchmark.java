package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.benchmarks.suite.KernelCase;
import io.jacquard.benchmarks.suite.Operands;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import org.openjdk.jmh.annotations.Param;

/// `out = 2 x`: how little it takes to measure a kernel (docs/benchmarking.md).
public class AxpbyBenchmark extends Launches {
    @Param({"65536", "4194304"})
    private int elements;

    @Override
    protected KernelCase kernel() {
        Operands operands = new Operands();
        Tensor x = operands.normal(1, DType.F32, elements);
        Tensor out = operands.normal(1, DType.F32, elements);
        return new KernelCase() {
            @Override
            public List<Consumer<Kernels>> launches() {
                return List.of(k -> k.axpby(out, 2f, x, 0f));
            }

            @Override
            public Deviation deviation() {
                double[] in = Operands.read(x, 0, 1000);
                double[] got = Operands.read(out, 0, 1000);
                Deviation d = new Deviation();
                for (int i = 0; i < got.length; i++) {
                    d.add(got[i], 2 * in[i]);
                }
                return d;
            }
        };
    }
}
