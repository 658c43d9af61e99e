/// How the ranks of a run talk beside the data: they agree on what comes next, and notice who is missing.
///
/// Start at [io.jacquard.line.Line]. [io.jacquard.line.HubLine] needs nothing but the JDK: its ranks leave what they
/// have to say at one of them. [io.jacquard.line.Watchdog] reports ranks that wait for something that will not come,
/// with the same words for every engine. Tensors pass elsewhere.
@NullMarked
package io.jacquard.line;

import org.jspecify.annotations.NullMarked;
