package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.io.DecoderConfigFile;
import io.jacquard.io.DecoderFiles;
import io.jacquard.io.ModelDirectory;
import io.jacquard.io.SafetensorsEntry;
import io.jacquard.nn.Parameter;
import io.jacquard.quantize.ModelQuantizer;
import io.jacquard.quantize.RoundedWeight;
import io.jacquard.quantize.Rounding;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Makes a model directory with the weights of a model in few bits, and measures what that costs.
///
/// **Thread**: that of the model's session.
public final class QuantizedModel {
    /// Sequences computed at once.
    private static final int BATCH = 8;

    /// What came of it.
    ///
    /// @param rounding how weights were rounded
    /// @param bytesBefore of the weights' files
    /// @param bytesAfter of theirs, in which what was not rounded has the model's dtype
    /// @param bitsPerWeight of linear layers, scales and zeros included
    /// @param before the model's score, if it was asked for
    /// @param after the same with the rounded weights
    /// @param layers each weight that was rounded
    public record Report(
            Rounding rounding,
            long bytesBefore,
            long bytesAfter,
            double bitsPerWeight,
            @Nullable Score before,
            @Nullable Score after,
            List<ModelQuantizer.Layer> layers) {
        /// For a file.
        public Map<String, @Nullable Object> json() {
            Map<String, @Nullable Object> all = new LinkedHashMap<>(rounding.json());
            all.put("bytes_before", bytesBefore);
            all.put("bytes_after", bytesAfter);
            all.put("bits_per_weight", bitsPerWeight);
            if (before != null && after != null) {
                all.put("loss_before", before.loss());
                all.put("loss_after", after.loss());
                all.put("perplexity_before", before.perplexity());
                all.put("perplexity_after", after.perplexity());
                all.put("tokens", after.tokens());
            }
            List<Map<String, @Nullable Object>> lines = new ArrayList<>();
            for (ModelQuantizer.Layer l : layers) {
                Map<String, @Nullable Object> line = new LinkedHashMap<>();
                line.put("weight", l.name());
                line.put("weight_error", known(l.weightError()));
                line.put("output_error", known(l.outputError()));
                lines.add(line);
            }
            all.put("layers", lines);
            return all;
        }

        private static @Nullable Double known(double error) {
            return Double.isNaN(error) ? null : error;
        }
    }

    private final LoadedModel model;
    private final Rounding rounding;
    private final int sequences;

    /// @param sequences to calibrate on, and at most to score
    public QuantizedModel(LoadedModel model, Rounding rounding, int sequences) {
        this.model = model;
        this.rounding = rounding;
        this.sequences = sequences;
    }

    /// Rounds the model and writes `directory`, which appears when it is whole.
    ///
    /// @param calibration null: none, for a rounding that needs none
    /// @param validation null: no score
    public Report write(
            Path directory,
            @Nullable Batches calibration,
            @Nullable Batches validation,
            Consumer<ModelQuantizer.Layer> listener)
            throws IOException {
        Score before = validation == null ? null : score(validation);
        long bytesBefore = bytes(model.directory());
        List<ModelQuantizer.Layer> layers = new ArrayList<>();
        ModelQuantizer quantizer = new ModelQuantizer(model.decoder(), rounding, layer -> {
            layers.add(layer);
            listener.accept(layer);
        });
        Map<Parameter, RoundedWeight> rounded = quantizer.run(calibration == null ? List.of() : tokens(calibration));
        Score after = validation == null ? null : score(validation);
        Path part = directory.resolveSibling(directory.getFileName() + ".part");
        Files.createDirectories(part);
        DecoderFiles.save(
                model.decoder(),
                DecoderConfigFile.endOfText(model.directory().resolve(DecoderFiles.CONFIG)),
                rounded,
                part);
        for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
            Path file = model.directory().resolve(name);
            if (Files.exists(file)) {
                Files.copy(file, part.resolve(name), StandardCopyOption.REPLACE_EXISTING);
            }
        }
        long bytesAfter = bytes(part);
        Files.move(part, directory, StandardCopyOption.ATOMIC_MOVE);
        return new Report(rounding, bytesBefore, bytesAfter, bitsPerWeight(rounded.values()), before, after, layers);
    }

    private double bitsPerWeight(Collection<RoundedWeight> weights) {
        double bits = 0;
        long elements = 0;
        for (RoundedWeight w : weights) {
            long size = (long) w.rows() * w.columns();
            bits += size * rounding.bitsPerWeight(w.columns());
            elements += size;
        }
        return bits / elements;
    }

    private Score score(Batches validation) {
        return new Evaluator(model.decoder(), model.tokenizer(), BATCH).score(validation, sequences);
    }

    /// The first sequences of a fixed shuffle, in batches.
    private List<Tensor> tokens(Batches data) {
        int context = data.context();
        int count = (int) Math.min(sequences, data.windows());
        int[] one = new int[context];
        List<Tensor> batches = new ArrayList<>();
        for (int at = 0; at < count; at += BATCH) {
            int rows = Math.min(BATCH, count - at);
            int[] ids = new int[rows * context];
            for (int r = 0; r < rows; r++) {
                data.fill(at + r, 0, new Batches.Layout(1, 1, 0, 1), one, new int[context]);
                System.arraycopy(one, 0, ids, r * context, context);
            }
            batches.add(Tensor.of(Shape.of(rows, context), ids));
        }
        return batches;
    }

    private static long bytes(Path directory) throws IOException {
        try (ModelDirectory files = ModelDirectory.open(directory)) {
            return files.tensors().values().stream()
                    .mapToLong(SafetensorsEntry::bytes)
                    .sum();
        }
    }
}
