package io.jacquard.train;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A training step, for the flight recorder: from its launch until its loss was read.
@Name("io.jacquard.Step")
@Label("Training step")
@Category("Jacquard")
@Description("A training step, from its launch until its loss was read")
@StackTrace(false)
final class StepEvent extends Event {
    @Label("Step")
    long step;

    @Label("Loss")
    float loss;

    @Label("Tokens")
    long tokens;

    @Label("Applied")
    boolean applied;
}
