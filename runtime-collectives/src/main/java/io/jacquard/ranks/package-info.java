/// Everything together: who launched this process, which devices it has, and what joins its ranks to the others.
///
/// Start at [io.jacquard.ranks.Ranks]. An engine for another kind of device is a [io.jacquard.ranks.GroupEngine].
@NullMarked
package io.jacquard.ranks;

import org.jspecify.annotations.NullMarked;
