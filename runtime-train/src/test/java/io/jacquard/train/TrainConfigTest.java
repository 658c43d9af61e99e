package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.ops.Recipe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainConfigTest {
    private static String message(String yaml) {
        return assertThrows(
                        IllegalArgumentException.class,
                        () -> new ConfigReader().yaml("c.yaml", yaml).read())
                .getMessage();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "model:\\n  layer: 3 | c.yaml:2: unknown key 'model.layer'; did you mean 'model.layers'?",
                "width: 3 | c.yaml:1: unknown key 'width'; did you mean 'model.width'?",
                "optimizer:\\n  learning_rate: 1 |"
                        + " c.yaml:2: unknown key 'optimizer.learning_rate'; did you mean 'optimizer.learningRate'?",
                "optimiser:\\n  clip: 1 | c.yaml:1: unknown key 'optimiser'; did you mean 'optimizer.type'?",
                "\\nmodel:\\n  layers: six | c.yaml:3: model.layers is 'six'; expected an integer of at least 1",
                "model:\\n  layers: 2.5 | c.yaml:2: model.layers is '2.5'; expected an integer of at least 1",
                "model:\\n  layers: 99999999999 | c.yaml:2: model.layers is '99999999999'; expected an integer of at least 1",
                "model:\\n  dropout: 1.5 | c.yaml:2: model.dropout is '1.5'; expected a number from 0 to 0.999",
                "model:\\n  dropout: .nan | c.yaml:2: model.dropout is '.nan'; expected a number from 0 to 0.999",
                "model:\\n  tied: yes | c.yaml:2: model.tied is 'yes'; expected true or false",
                "model:\\n  type: gpt3 | c.yaml:2: model.type is 'gpt3'; expected one of gpt2, llama",
                "model:\\n  layers: [1] | c.yaml:2: model.layers has no value of one line; expected an integer of at least 1",
                "model:\\n  layers: | c.yaml:2: model.layers has no value of one line; expected an integer of at least 1",
                "model: 3 | c.yaml:1: expected keys under 'model', found '3'",
                "- 3 | c.yaml:1: expected keys, found a list",
                "device: cpu\\ndevice: cpu | c.yaml:2: device is given twice, first at c.yaml:1",
                "model:\\n  heads: 5 | default: model.width is '384'; expected a multiple of model.heads (5)",
                "model:\\n  width: 100 | c.yaml:2: model.width is '100'; expected a multiple of model.heads (6)",
                "model:\\n  kvHeads: 3 | c.yaml:2: model.kvHeads is '3'; expected 0 for model.type gpt2, which has one key/value"
                        + " head per head",
                "training:\\n  steps: 50 | default: optimizer.warmup is '100'; expected at most training.steps (50)",
                "optimizer:\\n  stateDtype: bf16 | c.yaml:2: optimizer.stateDtype is 'bf16'; expected f32 unless training.dtype is"
                        + " bf16: state in bf16 goes with weights in bf16",
                "device: {a | c.yaml:1: not YAML: expected ',' or '}', but got <stream end>",
            })
    void refusesWithOneLine(String yaml, String expected) {
        assertEquals(expected, message(yaml.replace("\\n", "\n")));
    }

    @Test
    void overridesSayTheirOwnPlace() {
        ConfigReader r = new ConfigReader();
        assertEquals(
                "--set model.widht=3: unknown key 'model.widht'; did you mean 'model.width'?",
                assertThrows(IllegalArgumentException.class, () -> r.set("model.widht=3"))
                        .getMessage());
        assertEquals(
                "--set model=3: model is a group of keys, such as model.context",
                assertThrows(IllegalArgumentException.class, () -> r.set("model=3"))
                        .getMessage());
        assertEquals(
                "--set model.width: expected key=value, such as model.width=256",
                assertThrows(IllegalArgumentException.class, () -> r.set("model.width"))
                        .getMessage());
        r.set("model.width=-1");
        assertEquals(
                "--set model.width=-1: model.width is '-1'; expected an integer of at least 1",
                assertThrows(IllegalArgumentException.class, r::read).getMessage());
    }

    @Test
    void laterSettingsWin() {
        TrainConfig c = new ConfigReader()
                .yaml("a", "model:\n  width: 12\n  layers: 2\n")
                .set("model.width=24")
                .read();
        assertEquals(24, c.model().width());
        assertEquals(2, c.model().layers());
        assertEquals(256, c.model().context());
    }

    @Test
    void emptyFileIsAllDefaults() {
        assertEquals(
                TrainConfig.defaults(),
                new ConfigReader().yaml("a", "# nothing\n").read());
    }

    @Test
    void effectiveConfigurationReadsBack() {
        TrainConfig c = new ConfigReader()
                .set("samples.prompt=say \"hi\"\n\ttrue: \\ # \u2603 \ud83d\ude00")
                .set("device=true")
                .set("run=some dir/x")
                .set("optimizer.learningRate=3e-4")
                .set("training.seed=-7")
                .read();
        assertEquals(c, new ConfigReader().yaml("again", ConfigWriter.yaml(c)).read());
    }

    @Test
    void missingFileIsNamed() {
        assertEquals(
                "no such configuration file: nowhere.yaml",
                assertThrows(IllegalArgumentException.class, () -> new ConfigReader().file(Path.of("nowhere.yaml")))
                        .getMessage());
    }

    // A key never appears or vanishes by accident.
    @Test
    void listOfKeys() {
        assertEquals(
                """
                model.type model.layers model.heads model.kvHeads model.width model.hidden model.context model.dropout
                model.tied data.directory data.tokenizer training.steps training.minutes training.microBatch
                training.accumulation training.seed training.dtype training.precision training.precisionEnds training.gapSteps training.gradientDtype training.recompute
                training.graph training.nonFiniteLimit optimizer.type optimizer.learningRate optimizer.schedule
                optimizer.warmup optimizer.floor optimizer.decay optimizer.beta1 optimizer.beta2 optimizer.epsilon
                optimizer.weightDecay optimizer.clip optimizer.stateDtype parallel.data parallel.tensor parallel.pipeline parallel.zero
                parallel.schedule parallel.chunks parallel.patience evaluation.every evaluation.sequences
                evaluation.batch samples.every samples.prompt samples.tokens samples.temperature samples.topK checkpoints.every
                checkpoints.keep energy.gridIntensity run device""".replace('\n', ' '),
                ConfigKey.all().stream().map(ConfigKey::path).collect(Collectors.joining(" ")));
    }

    @Test
    void everyPrecisionThatIsListedIsAccepted() {
        String key = "training.precision";
        String listed = ConfigKey.all().stream()
                .filter(k -> k.path().equals(key))
                .findFirst()
                .orElseThrow()
                .expectation();
        List<String> accepted = Stream.of(Recipe.values())
                .map(Recipe::label)
                .filter(label -> accepts(key, label))
                .toList();
        assertEquals("one of " + String.join(", ", accepted), listed);
    }

    private static boolean accepts(String key, String value) {
        try {
            new ConfigReader().set(key, value, "test").read();
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    // To rewrite the page: -Djacquard.update=true
    @Test
    void referencePageIsUpToDate() throws IOException {
        Path page = Path.of("..", "docs", "configuration.md");
        if (Boolean.getBoolean("jacquard.update")) {
            Files.createDirectories(page.getParent());
            Files.writeString(page, ConfigWriter.reference());
        }
        assertEquals(Files.readString(page), ConfigWriter.reference());
    }
}
