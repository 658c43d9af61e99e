package io.jacquard.nccl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.jacquard.group.GroupContract;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// A communicator of one rank: what a machine with one GPU can tell of NCCL.
@Tag("gpu")
final class NcclOneRankTest {
    @TestFactory
    Stream<DynamicTest> contract() {
        return GroupContract.cases().stream()
                .filter(c -> c.ranks() == 1)
                .map(c -> DynamicTest.dynamicTest(c.name(), () -> NcclRanks.run(1, c.work())));
    }

    @Test
    void allOperationsAreCopies() {
        NcclRanks.run(1, g -> {
            for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
                Tensor in = Tensor.empty(Shape.of(4), dtype);
                in.kernels().cast(in, Tensor.of(Shape.of(4), 1f, -2f, 3f, 0.5f));
                Tensor out = Tensor.zeros(Shape.of(4), dtype);
                g.allToAll(out, in).join();
                g.broadcast(out, 0).join();
                g.split(-3).allReduce(out).join();
                assertArrayEquals(new float[] {1f, -2f, 3f, 0.5f}, out.toFloats());
            }
            Tensor ints = Tensor.of(Shape.of(3), 5, -6, 7);
            Tensor gathered = Tensor.empty(Shape.of(3), DType.I32);
            g.allGather(gathered, ints).join();
            assertArrayEquals(new int[] {5, -6, 7}, gathered.toInts());
            g.barrier();
        });
    }

    @Test
    void graphsRecordIt() {
        NcclRanks.run(1, g -> {
            Tensor t = Tensor.of(Shape.of(2), 1f, 3f);
            Tensor out = Tensor.zeros(Shape.of(2), DType.F32);
            g.reduceScatter(out, t).join(); // the library may prepare something at the first call
            try (Scope _ = Scope.openArena("recorded", 1 << 20);
                    Graph graph = Session.current().capture(() -> {
                        t.kernels().axpby(t, 2f, t, 0f);
                        g.reduceScatter(out, t).join();
                    })) {
                graph.replay();
                graph.replay();
                assertArrayEquals(new float[] {4f, 12f}, out.toFloats());
            }
        });
    }
}
