package io.jacquard.benchmarks.groups;

import io.jacquard.group.Group;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.mpi.MpiGroup;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// `main` of each rank: what `allreduce.c` does, with a group of ours.
public final class AllReduceRank {
    /// Some seconds for each size, since the JIT has to find a core beside the ranks; C needs two repetitions.
    private static final long WARM_UP_BYTES = 2L << 30;

    private static final long WARM_UP_CALLS = 30_000;

    private AllReduceRank() {}

    /// Arguments: `F32` or `BF16`, repetitions, then bytes of each size.
    public static void main(String[] args) {
        DType dtype = DType.valueOf(args[0]);
        MpiGroup.run(Launch.here(), Watch.DEFAULT, g -> {
            try (Session _ = Session.open("cpu")) {
                if (g.rank() == 0) {
                    System.out.println("library: " + ((MpiGroup) g).library());
                }
                for (int a = 2; a < args.length; a++) {
                    long bytes = Long.parseLong(args[a]);
                    List<Double> micros = size(g, dtype, bytes, Integer.parseInt(args[1]));
                    if (g.rank() == 0) {
                        StringBuilder line = new StringBuilder("size " + bytes + ":");
                        micros.forEach(m -> line.append(String.format(Locale.ROOT, " %.2f", m)));
                        System.out.println(line);
                    }
                }
            }
        });
    }

    private static List<Double> size(Group g, DType dtype, long bytes, int repetitions) {
        int batch = bytes < 65536 ? 100 : 1;
        int warmUp = (int) Math.min(WARM_UP_CALLS, WARM_UP_BYTES / bytes) / batch;
        List<Double> slowest = new ArrayList<>();
        try (Scope _ = Scope.openWithoutGrad("size")) {
            Tensor x = Tensor.zeros(Shape.of(Math.toIntExact(bytes / dtype.bytes(1))), dtype);
            for (int r = -warmUp; r < repetitions; r++) {
                g.barrier();
                long start = System.nanoTime();
                for (int b = 0; b < batch; b++) {
                    g.allReduce(x).join();
                }
                float micros = (float) ((System.nanoTime() - start) / 1e3 / batch);
                double worst = maximum(g, micros);
                if (r >= 0) {
                    slowest.add(worst);
                }
            }
        }
        return slowest;
    }

    private static double maximum(Group g, float micros) {
        try (Scope _ = Scope.openWithoutGrad("maximum")) {
            Tensor mine = Tensor.of(Shape.of(1), micros);
            Tensor all = Tensor.empty(Shape.of(g.size()), DType.F32);
            g.allGather(all, mine).join();
            double worst = 0;
            for (float m : all.toFloats()) {
                worst = Math.max(worst, m);
            }
            return worst;
        }
    }
}
