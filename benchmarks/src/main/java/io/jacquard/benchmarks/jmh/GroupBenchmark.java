package io.jacquard.benchmarks.jmh;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/// Collectives of ranks that are threads, in F32; the time of one, out of a hundred in a row. `allreduce-benchmark` has
/// those of processes, beside MPI.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
        value = 2,
        jvmArgsAppend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class GroupBenchmark {
    private static final int REPEATS = 100;

    @Param({"all-reduce", "reduce-scatter", "all-gather"})
    private String collective = "";

    @Param("2")
    private int ranks;

    @Param({"4096", "1048576", "16777216"})
    private int bytes;

    @Benchmark
    @OperationsPerInvocation(REPEATS)
    public void collective() {
        LocalGroup.run(ranks, group -> {
            try (Session _ = Session.open("cpu")) {
                Tensor all = Tensor.zeros(Shape.of(bytes / 4), DType.F32);
                Tensor part = Tensor.zeros(Shape.of(bytes / 4 / ranks), DType.F32);
                for (int i = 0; i < REPEATS; i++) {
                    one(group, all, part);
                }
            }
        });
    }

    private void one(Group group, Tensor all, Tensor part) {
        switch (collective) {
            case "all-reduce" -> group.allReduce(all).join();
            case "reduce-scatter" -> group.reduceScatter(part, all).join();
            default -> group.allGather(all, part).join();
        }
    }
}
