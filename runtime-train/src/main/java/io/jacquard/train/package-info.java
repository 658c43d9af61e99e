/// Training runs: the configuration, the training loop with its run directory, evaluation and text generation.
///
/// Start at `Trainer`; `TrainConfig` is everything a run can be told, `RunDirectory` everything it leaves behind.
/// `Evaluator` scores a model, `Generator` lets it write. What prints to a person or parses a command line belongs in
/// `io.jacquard.cli`; what a layer, an optimizer or a file format is belongs in the runtime's core.
@NullMarked
package io.jacquard.train;

import org.jspecify.annotations.NullMarked;
