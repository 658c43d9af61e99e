/// The command line: one class per command, nothing but options, calls and printing.
///
/// Start at `Main`. Results go to standard output, everything else to standard error; `Terminal` knows whether a person
/// is watching. What a command does beyond that belongs in `io.jacquard.train`.
@NullMarked
package io.jacquard.cli;

import org.jspecify.annotations.NullMarked;
