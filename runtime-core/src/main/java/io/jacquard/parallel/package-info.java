/// Many ranks that train one model: how they are arranged, and what divides a model among them.
///
/// Start at [io.jacquard.parallel.Mesh]: it makes the groups that layers (`nn`), optimizers and schedules take. Models
/// themselves are in `nn` and are written once; engines are in `group` and in modules of their own.
@NullMarked
package io.jacquard.parallel;

import org.jspecify.annotations.NullMarked;
