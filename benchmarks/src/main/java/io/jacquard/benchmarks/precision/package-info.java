/// What low precision costs in loss.
@NullMarked
package io.jacquard.benchmarks.precision;

import org.jspecify.annotations.NullMarked;
