/// Files that a training run reads and writes: weights, model directories, run state.
///
/// Start at `Safetensors` (read one file), `SafetensorsWriter` (write one) and `ModelDirectory` (read a model that may
/// be split over several files). `CheckpointDirectory` keeps a run's saved states so that a crash at any moment leaves
/// the newest complete one intact; `CheckpointSaver` does the writing on a background thread.
/// `DecoderFiles` reads and writes models, `WholeParameters` what ranks hold parts of, as if one rank held it: files
/// know nothing of ranks. The formats themselves are bytes in host memory and know no tensors. Token files live in
/// `io.jacquard.data`. A malformed file is an `IllegalArgumentException` of one line, a failing disk an `IOException`.
@NullMarked
package io.jacquard.io;

import org.jspecify.annotations.NullMarked;
