package io.jacquard.ranks;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.line.Hub;
import io.jacquard.line.HubLine;
import io.jacquard.line.Line;
import io.jacquard.mpi.MpiGroup;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Runs work in the ranks of a run, joined by the engine that fits launcher and device.
///
/// | device | one process | several processes |
/// | --- | --- | --- |
/// | `cpu` | threads ([LocalGroup]) | MPI ([MpiGroup]) |
/// | `cuda` | NCCL, a thread for each GPU | NCCL, a process or a thread for each GPU |
///
/// `JACQUARD_GROUP`, or `-Djacquard.group`, names another: `local` and `mpi` let ranks share GPUs, with their data
/// passing through the memory of the one GPU or through the host; `nccl` is the default there.
public final class Ranks {
    /// The system property that names the engine.
    public static final String PROPERTY = "jacquard.group";

    /// The same, in the environment; the property wins.
    public static final String VARIABLE = "JACQUARD_GROUP";

    private final Launch launch;
    private final Device device;
    private final int here;
    private final Map<String, String> environment;
    private final Watch watch;
    private final BiConsumer<HubLine, Throwable> end;

    /// @param end ends a process that is one of several, and whose work has thrown
    Ranks(
            Launch launch,
            Device device,
            int here,
            Map<String, String> environment,
            Watch watch,
            BiConsumer<HubLine, Throwable> end) {
        if (here < 1) {
            throw new IllegalArgumentException("ranks: " + here + " ranks in a process; expected at least 1");
        }
        this.launch = launch;
        this.device = device;
        this.here = here;
        this.environment = environment;
        this.watch = watch;
        this.end = end;
    }

    /// Runs `work` once in each of the `here` ranks of this process, in threads of their own, and returns when all
    /// have ended: with the group of all ranks of the run, and a session of the rank's device open. Rank `r` of the
    /// machine has device number `r` behind that of `device`, of those that are visible, again from the first when
    /// they are used up. The first failure ends the others, on all machines, and is thrown.
    ///
    /// @param here how many ranks each process of the launch has
    /// @throws IllegalArgumentException if launch, device and engine do not go together
    /// @throws DeviceException if a device or a library is missing
    public static void run(Launch launch, String device, int here, Watch watch, Consumer<Group> work) {
        new Ranks(launch, Device.parse(device), here, System.getenv(), watch, Ranks::endProcess).run(work);
    }

    private static void endProcess(HubLine line, Throwable failure) {
        line.end(failure);
        Runtime.getRuntime().halt(1);
    }

    void run(Consumer<Group> work) {
        String engine = engine();
        if (launch.size() * here == 1) {
            try (Session _ = Session.open(device.toString())) {
                work.accept(new SoloGroup());
            }
            return;
        }
        switch (engine) {
            case "local" -> local(work);
            case "mpi" -> mpi(work);
            case "nccl" -> nccl(work);
            default ->
                throw new IllegalArgumentException(
                        "ranks: there is no engine '" + engine + "' for " + VARIABLE + "; expected local, mpi or nccl");
        }
    }

    private String engine() {
        String named = System.getProperty(PROPERTY, environment.getOrDefault(VARIABLE, ""));
        if (!named.isBlank()) {
            return named;
        }
        return !device.kind().equals("cpu") ? "nccl" : launch.size() == 1 ? "local" : "mpi";
    }

    // ---- one method per engine

    private void local(Consumer<Group> work) {
        if (launch.size() > 1) {
            throw new IllegalArgumentException("ranks: the engine local joins the ranks of one process; this is "
                    + launch + "; start one process, or set " + VARIABLE + "=mpi");
        }
        LocalGroup.run(here, watch, group -> {
            try (Session _ = Session.open(device.toString())) {
                work.accept(group);
            }
        });
    }

    private void mpi(Consumer<Group> work) {
        if (here > 1) {
            throw new IllegalArgumentException("ranks: the engine mpi has one rank in a process, not " + here
                    + "; start " + launch.size() * here + " processes");
        }
        MpiGroup.run(launch, watch, group -> {
            try (Session _ = Session.open(device(0))) {
                work.accept(group);
            }
        });
    }

    private void nccl(Consumer<Group> work) {
        int visible = Session.devices(device.kind());
        if (here > visible) {
            throw new IllegalArgumentException("ranks: " + here + " ranks in this process, and it sees " + visible + " "
                    + device.kind() + (visible == 1 ? " device" : " devices")
                    + "; NCCL wants one for each: start fewer,"
                    + " or set " + VARIABLE + "=local, whose ranks share a device");
        }
        GroupEngine engine = engine(device.kind());
        if (here == 1 && Rendezvous.isByMpi(launch, environment)) {
            MpiGroup.run(launch, watch, group -> rank(((MpiGroup) group).line(), engine, 0, work));
            return;
        }
        try (Hub hub = Rendezvous.hub(launch, environment, watch.timeout())) {
            LocalGroup.run(here, local -> {
                int rank = launch.rank() * here + local.rank();
                try (HubLine line = HubLine.open(hub, rank, launch.size() * here, watch, HubLine.START)) {
                    onLine(line, engine, local.rank(), work);
                }
            });
        }
    }

    private void onLine(HubLine line, GroupEngine engine, int thread, Consumer<Group> work) {
        try {
            rank(line, engine, thread, work);
        } catch (RuntimeException | Error e) {
            if (launch.size() > 1) {
                end.accept(line, e);
            }
            throw e;
        }
    }

    private void rank(Line line, GroupEngine engine, int thread, Consumer<Group> work) {
        try (Session _ = Session.open(device(thread));
                Group group = engine.open(line)) {
            try {
                work.accept(group);
            } catch (RuntimeException | Error e) {
                fail(line, e); // before the group is closed, which the others would have to do with this rank
                throw e;
            }
        } catch (RuntimeException | Error e) {
            fail(line, e);
            throw e;
        }
    }

    private static void fail(Line line, Throwable e) {
        line.activity()
                .failBy(
                        e,
                        "group: rank " + line.rank() + " of " + line.members().size() + " failed: " + e);
    }

    private String device(int thread) {
        int visible = Math.max(1, Session.devices(device.kind()));
        return new Device(device.kind(), (device.index() + launch.localRank() * here + thread) % visible).toString();
    }

    static GroupEngine engine(String kind) {
        @Nullable GroupEngine found = null;
        for (GroupEngine e : ServiceLoader.load(GroupEngine.class, Ranks.class.getClassLoader())) {
            found = e.kind().equals(kind) ? e : found;
        }
        if (found == null) {
            throw new DeviceException("ranks: no engine for groups of " + kind
                    + " devices on the class path; add jacquard-cuda, or JACQUARD_CUDA=1 for ./jacquard; on the CPU set "
                    + VARIABLE + "=local or mpi");
        }
        return found;
    }
}
