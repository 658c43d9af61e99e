package io.jacquard.train;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/// Renders a configuration, and the reference of all keys.
public final class ConfigWriter {
    private ConfigWriter() {}

    /// The whole configuration as YAML that [ConfigReader] reads back to an equal one.
    public static String yaml(TrainConfig config) {
        Map<String, Object> values = ConfigReader.values(config);
        StringBuilder out = new StringBuilder();
        for (ConfigKey top : ConfigKey.of(TrainConfig.class, "")) {
            if (top.isGroup()) {
                out.append(top.name()).append(":\n");
                top.members().forEach(k -> line(out, "  ", k, values));
            } else {
                line(out, "", top, values);
            }
        }
        return out.toString();
    }

    private static void line(StringBuilder out, String indent, ConfigKey key, Map<String, Object> values) {
        out.append(indent)
                .append(key.name())
                .append(": ")
                .append(scalar(Objects.requireNonNull(values.get(key.path()))))
                .append('\n');
    }

    private static String scalar(Object value) {
        String text = ConfigKey.spelling(value);
        return value instanceof Number
                        || value instanceof Boolean
                        || text.matches("[A-Za-z][\\w./-]*") && !text.matches("(?i)true|false|null|yes|no|on|off")
                ? text
                : quoted(text);
    }

    private static String quoted(String text) {
        return text.codePoints()
                .mapToObj(c -> switch (c) {
                    case '"' -> "\\\"";
                    case '\\' -> "\\\\";
                    case '\n' -> "\\n";
                    case '\t' -> "\\t";
                    default -> Character.isISOControl(c) || c >= 0x7f ? escaped(c) : Character.toString(c);
                })
                .collect(Collectors.joining("", "\"", "\""));
    }

    private static String escaped(int codePoint) {
        return codePoint < 0x10000 ? String.format("\\u%04x", codePoint) : String.format("\\U%08x", codePoint);
    }

    /// `docs/configuration.md`: each key with type, default and meaning.
    public static String reference() {
        StringBuilder out = new StringBuilder("""
                # Configuration

                Generated from `TrainConfig`; a test fails when the two differ. A run is configured by a YAML file
                (`jacquard train -c config.yaml`) and by overrides (`--set model.width=256`). A key that is absent has
                its default; an unknown key is an error. The effective configuration of a run is written to
                `config.yaml` in its directory.

                """);
        List<ConfigKey> top = ConfigKey.of(TrainConfig.class, "");
        out.append("| key | expected | default | meaning |\n| --- | --- | --- | --- |\n");
        top.stream().filter(k -> !k.isGroup()).forEach(k -> row(out, k));
        for (ConfigKey group : top.stream().filter(ConfigKey::isGroup).toList()) {
            out.append("\n## ")
                    .append(group.name())
                    .append("\n\n")
                    .append(group.key().means())
                    .append(".\n\n")
                    .append("| key | expected | default | meaning |\n| --- | --- | --- | --- |\n");
            group.members().forEach(k -> row(out, k));
        }
        return out.toString();
    }

    private static void row(StringBuilder out, ConfigKey k) {
        String value = k.key().value();
        out.append("| `")
                .append(k.path())
                .append("` | ")
                .append(k.expectation())
                .append(" | ")
                .append(value.isEmpty() ? "empty" : "`" + value + "`")
                .append(" | ")
                .append(k.key().means())
                .append(" |\n");
    }
}
