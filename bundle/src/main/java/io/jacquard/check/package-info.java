/// `gpu-check`: whether everything holds on the device of this machine, in one JSON record.
///
/// [GpuCheck] runs one [Section] after the other, each in a JVM of its own ([Child]), so that a crash or a hang of a
/// driver ends a section and not the record. A section's main class is named `...Section` and says what it found
/// through [Findings]. [BundleContents] writes what a bundle is born with: its manifest, with how many tests each
/// suite has, and the prepared shards.
@NullMarked
package io.jacquard.check;

import org.jspecify.annotations.NullMarked;
