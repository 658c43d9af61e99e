package io.jacquard.io;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Parameter;
import io.jacquard.tensor.Shape;
import java.util.ArrayList;
import java.util.List;

/// How the whole parameters of a decoder lie in Hugging Face's files: under which names, as which rows, transposed or
/// not.
final class DecoderLayout {
    private DecoderLayout() {}

    /// One tensor of a file: rows `from` to `to` of `parameter`, transposed in the file where `transposed`.
    record Part(String name, Parameter parameter, int from, int to, boolean transposed) {
        /// The shape of the rows here.
        Shape shape() {
            int[] dims = parameter.logicalShape().toArray();
            dims[0] = to - from;
            return Shape.of(dims);
        }

        /// The shape in the file.
        List<Long> fileShape() {
            Shape s = shape();
            if (transposed) {
                return List.of((long) s.dim(1), (long) s.dim(0));
            }
            List<Long> dims = new ArrayList<>();
            for (int d : s.toArray()) {
                dims.add((long) d);
            }
            return dims;
        }
    }

    static List<Part> of(Decoder model) {
        List<Part> parts = new ArrayList<>();
        List<Parameter> all = new ArrayList<>(model.weights().parameters());
        all.addAll(model.weights().frozen());
        for (Parameter p : all) {
            if (model.config().type().equals("gpt2")) {
                parts.add(whole(p, p.name(), isConv1D(p)));
            } else {
                addLlama(parts, p, model.config());
            }
        }
        return parts;
    }

    private static Part whole(Parameter p, String name, boolean transposed) {
        return new Part(name, p, 0, p.logicalShape().dim(0), transposed);
    }

    /// GPT-2's linear layers are `Conv1D`, whose weight is `[in, out]`.
    private static boolean isConv1D(Parameter p) {
        return p.shape().rank() == 2 && p.name().contains(".h.");
    }

    private static void addLlama(List<Part> parts, Parameter p, DecoderConfig c) {
        String name = p.name();
        if (name.endsWith(".qkv_proj.weight")) {
            int q = c.heads() * c.headDim();
            int kv = c.kvHeads() * c.headDim();
            addRows(parts, p, "qkv_proj", List.of("q_proj", "k_proj", "v_proj"), q, kv, kv);
        } else if (name.endsWith(".gate_up_proj.weight")) {
            addRows(parts, p, "gate_up_proj", List.of("gate_proj", "up_proj"), c.hidden(), c.hidden());
        } else {
            parts.add(whole(p, name, false));
        }
    }

    private static void addRows(List<Part> parts, Parameter p, String ours, List<String> theirs, int... rows) {
        int from = 0;
        for (int i = 0; i < rows.length; i++) {
            parts.add(new Part(p.name().replace(ours, theirs.get(i)), p, from, from + rows[i], false));
            from += rows[i];
        }
    }
}
