/// Files that a training run reads and writes: weights, model directories, run state.
///
/// Start at `Safetensors` (read one file), `SafetensorsWriter` (write one) and `ModelDirectory` (read a model that may
/// be split over several files). `CheckpointDirectory` keeps a run's saved states so that a crash at any moment leaves
/// the newest complete one intact; `CheckpointSaver` does the writing on a background thread.
/// Everything here is host memory and bytes: tensors, devices and layers do not belong here, token files live in
/// `io.jacquard.data`. A malformed file is an `IllegalArgumentException` of one line, a failing disk an `IOException`.
@NullMarked
package io.jacquard.io;

import org.jspecify.annotations.NullMarked;
