package io.jacquard.mpi;

import io.jacquard.group.Group;
import io.jacquard.group.GroupContract;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.tensor.Session;
import java.time.Duration;
import java.util.List;

/// `main` of each rank: all cases of the contract, one after the other, on the device that the argument names. Rank 0
/// prints the name of each case that has passed on all ranks.
public final class ContractRank {
    private ContractRank() {}

    /// The cases for a device: groups of processes record graphs on the CPU only.
    public static List<GroupContract.Case> cases(String device) {
        return GroupContract.cases().stream()
                .filter(c -> device.equals("cpu") || !c.graph())
                .toList();
    }

    /// Arguments: device.
    public static void main(String[] args) {
        System.out.println("launch: " + Launch.here());
        MpiGroup.run(Launch.here(), Watch.of(Duration.ofSeconds(20)), world -> {
            if (world.rank() == 0) {
                System.out.println("library: " + ((MpiGroup) world).library());
            }
            for (GroupContract.Case c : cases(args[0])) {
                one(world, c, args[0]);
                if (world.rank() == 0) {
                    System.out.println("passed: " + c.name());
                }
            }
            JvmSignals.check();
            if (world.rank() == 0) {
                System.out.println("passed: signals of the JVM");
            }
        });
    }

    private static void one(Group world, GroupContract.Case c, String device) {
        if (c.ranks() > world.size()) {
            throw new IllegalStateException(c.name() + ": there are " + world.size() + " ranks only");
        }
        try (Session _ = Session.open(device);
                Group part = world.split(world.rank() < c.ranks() ? 1 : 0)) {
            if (world.rank() < c.ranks()) {
                c.work().accept(part);
            }
            world.barrier();
        } catch (RuntimeException | Error e) {
            throw new AssertionError(c.name(), e);
        }
    }
}
