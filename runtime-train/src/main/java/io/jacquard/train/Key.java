package io.jacquard.train;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/// Describes one key of the configuration: the reader, the writer and `docs/configuration.md` all follow it.
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
@interface Key {
    /// The value if the key is absent, as it would be written in YAML; unused for a group.
    String value() default "";

    /// One sentence without its full stop.
    String means();

    /// Constants of an enum that are no values of this key, as they would be written in YAML.
    String[] without() default {};

    /// The least value of a number.
    double least() default Double.NEGATIVE_INFINITY;

    /// The greatest value of a number.
    double most() default Double.POSITIVE_INFINITY;
}
