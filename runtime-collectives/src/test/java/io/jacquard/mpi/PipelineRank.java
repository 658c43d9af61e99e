package io.jacquard.mpi;

import io.jacquard.group.Group;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.ops.Ops;
import io.jacquard.parallel.CutModel;
import io.jacquard.parallel.CutModel.Features;
import io.jacquard.parallel.CutModel.Result;
import io.jacquard.parallel.Pipeline;
import io.jacquard.parallel.Schedule;
import io.jacquard.parallel.Stage;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// `main` of each rank: a model cut into stages, by each schedule, first on two of the ranks, then on all. Rank 0
/// prints what has given the bits of one rank on all of them.
public final class PipelineRank {
    private static final int MICRO_BATCHES = 6;

    private PipelineRank() {}

    private static List<Schedule> schedules(int ranks) {
        return List.of(
                Schedule.gpipe(ranks, MICRO_BATCHES),
                Schedule.oneForwardOneBackward(ranks, MICRO_BATCHES),
                Schedule.interleaved(ranks, MICRO_BATCHES, 2),
                Schedule.zeroBubble(ranks, MICRO_BATCHES));
    }

    private static List<Features> features(String device) {
        Features most = new Features(true, true, true, false);
        // MPI is the host's: graphs of other devices cannot record it
        return device.equals("cpu") ? List.of(most, new Features(false, false, true, true)) : List.of(most);
    }

    /// The names of all runs.
    static List<String> names(int ranks, String device) {
        return IntStream.rangeClosed(2, ranks)
                .boxed()
                .flatMap(n -> schedules(n).stream())
                .flatMap(s -> features(device).stream().map(f -> s + ", " + f))
                .toList();
    }

    /// Arguments: device, or `throw`: then a stage of rank 1 does.
    public static void main(String[] args) {
        MpiGroup.run(Launch.here(), Watch.of(Duration.ofSeconds(20)), world -> {
            if (args[0].equals("throw")) {
                fails(world);
            }
            for (Features f : features(args[0])) {
                Result whole;
                try (Session session = Session.open(args[0])) {
                    whole = CutModel.whole(session, f.plain(), MICRO_BATCHES);
                }
                for (int n = 2; n <= world.size(); n++) {
                    Group some = world.split(world.rank() < n ? 1 : 0);
                    for (Schedule s : schedules(n)) {
                        try (Session session = Session.open(args[0])) {
                            if (world.rank() < n) {
                                CutModel.train(session, some, f, s).assertSame(whole);
                            }
                            world.barrier();
                        }
                        if (world.rank() == 0) {
                            System.out.println("passed: " + s + ", " + f);
                        }
                    }
                }
            }
        });
    }

    private static void fails(Group world) {
        try (Session _ = Session.open("cpu");
                Pipeline pipeline = new Pipeline(
                        world,
                        Schedule.oneForwardOneBackward(world.size(), MICRO_BATCHES),
                        List.of(new Throwing(world.rank() == 1)))) {
            pipeline.run();
        }
    }

    /// Passes a number on.
    private record Throwing(boolean bad) implements Stage {
        @Override
        public Shape inputShape() {
            return Shape.of(1);
        }

        @Override
        public DType inputDType() {
            return DType.F32;
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            if (bad && microBatch == 1) {
                throw new IllegalArgumentException("no more data");
            }
            return Ops.scale(x == null ? Tensor.of(Shape.of(1), 1f).leaf() : x, 2f);
        }
    }
}
