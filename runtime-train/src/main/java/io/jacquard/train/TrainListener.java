package io.jacquard.train;

import java.nio.file.Path;

/// Hears what a run does, on the thread that trains.
public interface TrainListener {
    /// Hears nothing.
    TrainListener SILENT = new TrainListener() {};

    /// The run begins, or goes on, at `step`.
    default void started(TrainConfig config, long parameters, long trainTokens, long step) {}

    /// One of the steps is done that a run of low precision is compared with, before it begins.
    default void compared(int step, int steps) {}

    /// A step is done. The next one may be under way.
    default void stepped(Metrics.Step step) {}

    /// The model was scored on the validation set.
    default void validated(long step, Score score) {}

    /// The model wrote a sample.
    default void sampled(long step, String text) {}

    /// A state is being written to `directory`.
    default void saving(long step, Path directory) {}

    /// Something a person should know.
    default void noted(String line) {}
}
