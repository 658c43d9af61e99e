package io.jacquard.train;

/// Settings that do not go together.
final class Settings {
    private Settings() {}

    /// @throws IllegalArgumentException with what to change
    static void check(TrainConfig c) {
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
}
