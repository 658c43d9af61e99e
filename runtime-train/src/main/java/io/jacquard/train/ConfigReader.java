package io.jacquard.train;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/// Collects settings from YAML and from `key=value` arguments, the later over the earlier, and makes a [TrainConfig].
///
/// Strict: an unknown key, a duplicate, a value of the wrong type or outside its range is an
/// `IllegalArgumentException` of one line that names the place, the key and what was expected.
public final class ConfigReader {
    private static final int MAX_BYTES = 1 << 20;

    private record Setting(String text, String place) {}

    private final Map<String, Setting> settings = new HashMap<>();
    private final Map<String, ConfigKey> known =
            ConfigKey.all().stream().collect(Collectors.toMap(ConfigKey::path, k -> k));
    private final List<String> groups = ConfigKey.of(TrainConfig.class, "").stream()
            .filter(ConfigKey::isGroup)
            .map(ConfigKey::path)
            .toList();

    /// Takes the settings of a YAML file.
    public ConfigReader file(Path file) throws IOException {
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new IllegalArgumentException(file + ": larger than 1 MiB; is this a configuration?");
            }
            return yaml(file.toString(), Files.readString(file, StandardCharsets.UTF_8));
        } catch (NoSuchFileException e) {
            throw new IllegalArgumentException("no such configuration file: " + file, e);
        }
    }

    /// Takes the settings of YAML text; `name` stands for the file in messages.
    public ConfigReader yaml(String name, String text) {
        Node root;
        try {
            LoadSettings strict = LoadSettings.builder()
                    .setLabel(name)
                    .setMaxAliasesForCollections(0)
                    .build();
            root = new Compose(strict).composeString(text).orElse(null);
        } catch (MarkedYamlEngineException e) {
            String line = e.getProblemMark().map(m -> ":" + (m.getLine() + 1)).orElse("");
            throw new IllegalArgumentException(name + line + ": not YAML: " + e.getProblem(), e);
        } catch (YamlEngineException e) {
            throw new IllegalArgumentException(
                    name + ": not YAML: "
                            + String.valueOf(e.getMessage()).lines().findFirst().orElse(""),
                    e);
        }
        if (root != null && !(root instanceof ScalarNode s && s.getTag().equals(Tag.NULL))) {
            walk(name, "", root, new HashMap<>());
        }
        return this;
    }

    private void walk(String file, String path, Node node, Map<String, String> seen) {
        String place = place(file, node);
        if (!(node instanceof MappingNode mapping)) {
            throw new IllegalArgumentException(place + ": expected keys"
                    + (path.isEmpty() ? "" : " under '" + path + "'") + ", found "
                    + (node instanceof ScalarNode s ? "'" + s.getValue() + "'" : "a list"));
        }
        for (NodeTuple entry : mapping.getValue()) {
            if (!(entry.getKeyNode() instanceof ScalarNode name)) {
                throw new IllegalArgumentException(place(file, entry.getKeyNode()) + ": expected a key");
            }
            String key = path.isEmpty() ? name.getValue() : path + "." + name.getValue();
            String at = place(file, name);
            String before = seen.put(key, at);
            if (before != null) {
                throw new IllegalArgumentException(at + ": " + key + " is given twice, first at " + before);
            }
            if (groups.contains(key)) {
                walk(file, key, entry.getValueNode(), seen);
            } else if (!known.containsKey(key)) {
                throw unknown(at, key);
            } else if (entry.getValueNode() instanceof ScalarNode value
                    && !value.getTag().equals(Tag.NULL)) {
                settings.put(key, new Setting(value.getValue(), place(file, value)));
            } else {
                throw new IllegalArgumentException(place(file, entry.getValueNode()) + ": " + key + " has no value"
                        + " of one line; expected " + expectation(key));
            }
        }
    }

    /// Takes one override, such as `model.width=256`.
    public ConfigReader set(String assignment) {
        int equals = assignment.indexOf('=');
        if (equals < 1) {
            throw new IllegalArgumentException("--set " + assignment + ": expected key=value, such as model.width=256");
        }
        return set(assignment.substring(0, equals).strip(), assignment.substring(equals + 1), "--set " + assignment);
    }

    /// Takes one value; `place` says in messages where it came from.
    public ConfigReader set(String key, Object value, String place) {
        if (!known.containsKey(key)) {
            throw unknown(place, key);
        }
        settings.put(key, new Setting(ConfigKey.spelling(value), place));
        return this;
    }

    private String expectation(String key) {
        ConfigKey k = known.get(key);
        return k == null ? "a value" : k.expectation();
    }

    private IllegalArgumentException unknown(String place, String key) {
        if (groups.contains(key)) {
            return new IllegalArgumentException(place + ": " + key + " is a group of keys, such as "
                    + known.keySet().stream()
                            .filter(k -> k.startsWith(key + "."))
                            .sorted()
                            .findFirst()
                            .orElse(""));
        }
        return new IllegalArgumentException(place + ": unknown key '" + key + "'; "
                + Nearest.hint(
                        key, ConfigKey.all().stream().map(ConfigKey::path).toList()));
    }

    /// The configuration of what was taken, defaults elsewhere.
    public TrainConfig read() {
        TrainConfig config = TrainConfig.class.cast(build(TrainConfig.class, ConfigKey.of(TrainConfig.class, "")));
        check(config);
        return config;
    }

    private Record build(Class<? extends Record> type, List<ConfigKey> keys) {
        Object[] values = new Object[keys.size()];
        for (int i = 0; i < values.length; i++) {
            ConfigKey k = keys.get(i);
            values[i] = k.isGroup() ? build(k.component().getType().asSubclass(Record.class), k.members()) : value(k);
        }
        try {
            Class<?>[] types = Arrays.stream(type.getRecordComponents())
                    .map(RecordComponent::getType)
                    .toArray(Class<?>[]::new);
            Constructor<? extends Record> constructor = type.getDeclaredConstructor(types);
            return constructor.newInstance(values);
        } catch (NoSuchMethodException
                | InstantiationException
                | IllegalAccessException
                | InvocationTargetException e) {
            throw new IllegalStateException("configuration record " + type + " cannot be made", e);
        }
    }

    private Object value(ConfigKey key) {
        Setting s = settings.getOrDefault(key.path(), new Setting(key.key().value(), "default"));
        try {
            return key.parse(s.text);
        } catch (ConfigKey.Unexpected e) {
            throw new IllegalArgumentException(
                    s.place + ": " + key.path() + " is '" + s.text + "'; expected " + e.getMessage(), e);
        }
    }

    private void check(TrainConfig c) {
        TrainConfig.Model m = c.model();
        require(m.width() % m.heads() == 0, "model.width", m.width(), "a multiple of model.heads (" + m.heads() + ")");
        require(
                m.heads() % m.effectiveKvHeads() == 0,
                "model.kvHeads",
                m.kvHeads(),
                "a divisor of model.heads (" + m.heads() + ")");
        boolean llama = m.type() == TrainConfig.ModelType.LLAMA;
        require(
                llama || m.effectiveKvHeads() == m.heads(),
                "model.kvHeads",
                m.kvHeads(),
                "0 for model.type gpt2, which has one key/value head per head");
        require(
                !llama || (m.width() / m.heads()) % 2 == 0,
                "model.width",
                m.width(),
                "an even width per head: llama rotates pairs (model.heads is " + m.heads() + ")");
        require(llama || m.tied(), "model.tied", m.tied(), "true for model.type gpt2");
        require(!llama || m.dropout() == 0, "model.dropout", m.dropout(), "0 for model.type llama");
        require(
                !c.training().precision().isFrozen(),
                "training.precision",
                c.training().precision().label(),
                "another one: these weights are frozen, for eval and generate; to train for four bits take int4-qat");
        require(
                c.optimizer().stateDtype() == TrainConfig.Precision.F32
                        || c.training().dtype() == TrainConfig.Precision.BF16,
                "optimizer.stateDtype",
                ConfigKey.spelling(c.optimizer().stateDtype()),
                "f32 unless training.dtype is bf16: state in bf16 goes with weights in bf16");
        require(
                c.optimizer().warmup() <= c.training().steps(),
                "optimizer.warmup",
                c.optimizer().warmup(),
                "at most training.steps (" + c.training().steps() + ")");
        require(
                c.optimizer().decay() <= c.training().steps() - c.optimizer().warmup(),
                "optimizer.decay",
                c.optimizer().decay(),
                "at most training.steps - optimizer.warmup ("
                        + (c.training().steps() - c.optimizer().warmup()) + ")");
    }

    private void require(boolean holds, String key, Object value, String expectation) {
        if (!holds) {
            Setting s = settings.get(key);
            throw new IllegalArgumentException(
                    (s == null ? "default" : s.place) + ": " + key + " is '" + value + "'; expected " + expectation);
        }
    }

    private static String place(String file, @Nullable Node node) {
        return node == null || node.getStartMark().isEmpty()
                ? file
                : file + ":" + (node.getStartMark().get().getLine() + 1);
    }

    /// Every key with its value, in order.
    static Map<String, Object> values(TrainConfig config) {
        Map<String, Object> values = new LinkedHashMap<>();
        collect(config, ConfigKey.of(TrainConfig.class, ""), values);
        return values;
    }

    private static void collect(Object record, List<ConfigKey> keys, Map<String, Object> values) {
        for (ConfigKey k : keys) {
            Object value;
            try {
                value = k.component().getAccessor().invoke(record);
            } catch (IllegalAccessException | InvocationTargetException e) {
                throw new IllegalStateException("configuration key " + k.path() + " cannot be read", e);
            }
            if (k.isGroup()) {
                collect(value, k.members(), values);
            } else {
                values.put(k.path(), value);
            }
        }
    }
}
