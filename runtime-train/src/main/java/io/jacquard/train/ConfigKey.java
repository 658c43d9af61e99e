package io.jacquard.train;

import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/// One key, or group of keys, of the configuration with its full path, such as `model.width`.
record ConfigKey(String path, RecordComponent component, Key key) {
    /// Refused value: the message says what was expected.
    static final class Unexpected extends Exception {
        private static final long serialVersionUID = 1;

        Unexpected(String expectation) {
            super(expectation);
        }
    }

    /// Keys and groups of a record, in the order of its components.
    static List<ConfigKey> of(Class<? extends Record> type, String prefix) {
        List<ConfigKey> keys = new ArrayList<>();
        for (RecordComponent c : type.getRecordComponents()) {
            keys.add(new ConfigKey(prefix + c.getName(), c, c.getAnnotation(Key.class)));
        }
        return keys;
    }

    /// Every key that has a value, in order.
    static List<ConfigKey> all() {
        return leaves(of(TrainConfig.class, ""));
    }

    private static List<ConfigKey> leaves(List<ConfigKey> keys) {
        return keys.stream()
                .flatMap(k -> k.isGroup() ? leaves(k.members()).stream() : List.of(k).stream())
                .toList();
    }

    boolean isGroup() {
        return component.getType().isRecord();
    }

    String name() {
        return component.getName();
    }

    List<ConfigKey> members() {
        return of(component.getType().asSubclass(Record.class), path + ".");
    }

    /// The value that `text` stands for.
    Object parse(String text) throws Unexpected {
        Class<?> type = component.getType();
        if (type == String.class) {
            return text;
        }
        if (type == Path.class) {
            if (text.isEmpty()) {
                throw new Unexpected(expectation());
            }
            return Path.of(text);
        }
        if (type.isEnum()) {
            for (Object constant : type.getEnumConstants()) {
                if (spelling(constant).equals(text)) {
                    return constant;
                }
            }
            throw new Unexpected(expectation());
        }
        if (type == boolean.class) {
            if (text.equals("true") || text.equals("false")) {
                return text.equals("true");
            }
            throw new Unexpected(expectation());
        }
        return number(type, text);
    }

    private Object number(Class<?> type, String text) throws Unexpected {
        try {
            BigDecimal exact = new BigDecimal(text);
            double value = exact.doubleValue();
            if (value >= key.least() && value <= key.most()) {
                if (type == int.class) {
                    return exact.intValueExact();
                }
                if (type == long.class) {
                    return exact.longValueExact();
                }
                if (type == double.class && Double.isFinite(value)) {
                    return value;
                }
                if (type == float.class && Float.isFinite(exact.floatValue())) {
                    return exact.floatValue();
                }
            }
        } catch (ArithmeticException | NumberFormatException e) {
            throw new Unexpected(expectation());
        }
        throw new Unexpected(expectation());
    }

    /// What a value must be, in words.
    String expectation() {
        Class<?> type = component.getType();
        if (type.isEnum()) {
            return "one of "
                    + Arrays.stream(type.getEnumConstants())
                            .map(ConfigKey::spelling)
                            .filter(s -> !List.of(key.without()).contains(s))
                            .collect(Collectors.joining(", "));
        }
        if (type == boolean.class) {
            return "true or false";
        }
        if (type == String.class) {
            return "text";
        }
        if (type == Path.class) {
            return "a path";
        }
        String kind = type == int.class || type == long.class ? "an integer" : "a number";
        boolean low = key.least() != Double.NEGATIVE_INFINITY;
        boolean high = key.most() != Double.POSITIVE_INFINITY;
        if (low && high) {
            return kind + " from " + plain(key.least()) + " to " + plain(key.most());
        }
        return low ? kind + " of at least " + plain(key.least()) : kind;
    }

    /// A value as it is written in YAML, strings without quotes. A name that begins with a digit has an underscore
    /// before it in Java.
    static String spelling(Object value) {
        return value instanceof Enum<?> e
                ? e.name().toLowerCase(Locale.ROOT).replaceFirst("^_", "").replace('_', '-')
                : value.toString();
    }

    private static String plain(double bound) {
        return new BigDecimal(Double.toString(bound)).stripTrailingZeros().toPlainString();
    }
}
