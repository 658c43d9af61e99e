package io.jacquard.train;

import io.jacquard.group.Group;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.Session;

/// Settings that do not go together, or not with the ranks and the device of the current session.
final class Settings {
    private Settings() {}

    /// @throws IllegalArgumentException with what to change
    static void check(TrainConfig c, Group world) {
        recordable(c, world);
        TrainConfig.Parallel p = c.parallel();
        if (p.pipeline() > 1 && c.samples().every() > 0) {
            throw new IllegalArgumentException("samples.every " + c.samples().every() + ": no rank of a pipeline of "
                    + p.pipeline() + " stages has the whole model that writes samples; set samples.every to 0 and use"
                    + " 'jacquard generate' on a saved state");
        }
        if (p.chunks() > 1 && p.schedule() != TrainConfig.PipelineSchedule._1F1B) {
            throw new IllegalArgumentException("parallel.chunks " + p.chunks() + " belong to the schedule 1f1b, not to "
                    + ConfigKey.spelling(p.schedule()) + "; set parallel.schedule to 1f1b or parallel.chunks to 1");
        }
    }

    private static void recordable(TrainConfig c, Group world) {
        Session session = Session.current();
        Device device = session.backend().device();
        boolean records = c.training().graph() && !session.isDebugging();
        if (records && world.needsHost() && !device.kind().equals("cpu")) {
            throw new IllegalArgumentException("training.graph: ranks joined as threads or by MPI meet on the host,"
                    + " which a graph of " + device
                    + " cannot record; set training.graph to false, or join ranks with a"
                    + " GPU each by NCCL (JACQUARD_GROUP=nccl)");
        }
    }
}
