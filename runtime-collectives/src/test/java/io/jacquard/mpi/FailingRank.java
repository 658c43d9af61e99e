package io.jacquard.mpi;

import io.jacquard.group.Group;
import io.jacquard.launch.Launch;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;

/// `main` of each rank: all-reduces without end, until rank 1 does what the argument says.
final class FailingRank {
    private FailingRank() {}

    /// Arguments: what goes wrong, and the seconds of the timeout.
    public static void main(String[] args) {
        MpiGroup.run(Launch.here(), Duration.ofSeconds(Long.parseLong(args[1])), g -> {
            System.out.println("pid " + ProcessHandle.current().pid());
            try (Session _ = Session.open("cpu")) {
                Tensor t = Tensor.zeros(Shape.of(100_000), DType.F32);
                for (int i = 0; i < 20; i++) {
                    g.allReduce(t).join();
                }
                if (g.rank() == 1) {
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
            case "throw" -> throw new IllegalArgumentException("no more data");
            case "thread" -> Thread.ofPlatform().start(() -> Objects.requireNonNull(null, "nothing there"));
            case "leave" -> g.close();
            case "other" -> g.barrier();
            case "receive" -> g.receive(t, 0);
            case "late" -> LockSupport.parkNanos(Duration.ofSeconds(5).toNanos());
            default -> throw new AssertionError(how);
        }
        if (how.equals("thread")) {
            LockSupport.parkNanos(Duration.ofMinutes(1).toNanos());
        } else if (how.equals("late")) {
            throw new IllegalArgumentException("was waited for");
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
