/// Many ranks that train one model: how they are arranged, and what divides a model among them.
///
/// Start at [io.jacquard.parallel.Mesh]: it makes the groups that layers (`nn`), optimizers and pipelines take. In
/// which order a rank computes is a [io.jacquard.parallel.Schedule], which a [io.jacquard.parallel.Pipeline] runs.
/// Models themselves are in `nn` and are written once; engines are in `group` and in modules of their own.
@NullMarked
package io.jacquard.parallel;

import org.jspecify.annotations.NullMarked;
