package io.jacquard.mpi;

import io.jacquard.group.Group;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/// `main` of each rank: all-reduces without end, until rank 1 does what the argument says.
final class FailingRank {
    private static final int SIZE = 100_000;

    private static final LongAdder SPINS = new LongAdder();

    private FailingRank() {}

    /// Arguments: what goes wrong, the seconds of the timeout, and the directory of the recorders, if any.
    public static void main(String[] args) {
        Watch watch = Watch.of(Duration.ofSeconds(Long.parseLong(args[1])));
        MpiGroup.run(Launch.here(), args.length > 2 ? watch.in(Path.of(args[2])) : watch, g -> {
            System.out.println("pid " + ProcessHandle.current().pid());
            try (Session _ = Session.open("cpu")) {
                Tensor t = Tensor.zeros(Shape.of(SIZE), DType.F32);
                for (int i = 0; i < 20; i++) {
                    g.allReduce(t).join();
                }
                if (g.rank() == 1 || args[0].equals("all throw")) {
                    fail(args[0], g, t);
                }
                if (!args[0].equals("nothing")) {
                    for (int i = 0; i < 10_000_000; i++) {
                        g.allReduce(t).join();
                    }
                }
            }
        });
        System.out.println("end");
    }

    private static void fail(String how, Group g, Tensor t) {
        switch (how) {
            case "nothing" -> {}
            case "kill" -> signal("-KILL");
            case "stop" -> signal("-STOP");
            case "spin" -> spin();
            case "halt" -> Runtime.getRuntime().halt(0);
            case "throw", "all throw" -> throw new IllegalArgumentException("no more data");
            case "thread" -> Thread.ofPlatform().start(() -> Objects.requireNonNull(null, "nothing there"));
            case "leave" -> g.close();
            case "other" -> g.barrier();
            case "size" -> g.allReduce(t.rows(0, SIZE - 1));
            case "receive" -> g.receive(t, 0).join();
            case "late" -> LockSupport.parkNanos(Duration.ofSeconds(5).toNanos());
            default -> throw new AssertionError(how);
        }
        if (how.equals("thread")) {
            LockSupport.parkNanos(Duration.ofMinutes(1).toNanos());
        } else if (how.equals("late")) {
            throw new IllegalArgumentException("was waited for");
        }
    }

    private static void spin() {
        while (!Thread.currentThread().isInterrupted()) {
            SPINS.increment();
        }
    }

    private static void signal(String name) {
        try {
            new ProcessBuilder(
                            "kill", name, Long.toString(ProcessHandle.current().pid()))
                    .start()
                    .waitFor();
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
        LockSupport.parkNanos(Duration.ofMinutes(1).toNanos());
    }
}
