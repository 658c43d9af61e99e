package io.jacquard.benchmarks.suite;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// What a row should reach: time of a peer over ours, or our peak memory over the peer's.
///
/// @param scale where: rows of other scales have no goal
/// @param row which rows, by name
/// @param against which of the peers: the fastest of these counts
/// @param ratio the least speed ratio, or with `memory` the most memory
record Goal(Rows.Scale scale, Pattern row, String words, Pattern against, double ratio, boolean memory) {
    private static final List<Goal> ALL = List.of(
            gpu("(layer|rms) norm backward.* bf16", "torch.compile", "pytorch compile.*", 2.2),
            gpu("clip \\+ AdamW \\+ cast.* bf16", "fused AdamW + clip", "pytorch.*", 1.15),
            gpu("step .* B=1 bf16", "torch.compile, whole step in one graph", "pytorch compile.*", 2.0),
            gpu("attention forward hd64 causal T=1024 .* bf16", "the best forced SDPA backend", "pytorch sdpa.*", 1.25),
            gpu(
                    "attention forward hd128 causal T=8192 .* bf16",
                    "the best forced SDPA backend",
                    "pytorch sdpa.*",
                    1.05),
            gpu("attention backward hd128 causal T=8192 .* bf16", "cuDNN", "pytorch sdpa cudnn", 1.10),
            gpu("linear .* fp8-(current|delayed) .* bf16", "the same in bf16", "pytorch dense.*", 1.75),
            gpu("linear .* fp8-block .* bf16", "the same in bf16", "pytorch dense.*", 1.6),
            gpu("int4 weights .* (1|4|16)x\\d+x\\d+ bf16", "the product in bf16", "pytorch.*", 3.5),
            gpu("int4 weights .* 64x\\d+x\\d+ bf16", "the product in bf16", "pytorch.*", 2.0),
            gpu("int4 weights .* (512|2048)x\\d+x\\d+ bf16", "the product in bf16", "pytorch.*", 0.95),
            gpu("step gpt2-124m T=1024 B=32 bf16", "torch.compile with its best backend", "pytorch compile.*", 1.3),
            new Goal(
                    Rows.Scale.GPU,
                    Pattern.compile("step gpt2-124m T=1024 B=32 bf16"),
                    "torch.compile's peak memory",
                    Pattern.compile("pytorch compile.*"),
                    0.6,
                    true),
            cpu("step gpt2-124m T=256 B=4 f32", 1.15),
            cpu("step gpt2-124m T=256 B=4 bf16", 1.7),
            cpu("step char-gpt .*", 1.2),
            cpu("attention .* f32", 1.9),
            cpu("attention .* bf16", 1.3),
            cpu("(gelu|swiglu|cross entropy) .*", 1.2));

    private static Goal gpu(String row, String words, String against, double ratio) {
        return new Goal(Rows.Scale.GPU, Pattern.compile(row), words, Pattern.compile(against), ratio, false);
    }

    private static Goal cpu(String row, double ratio) {
        Pattern pytorch = Pattern.compile("pytorch.*");
        return new Goal(Rows.Scale.CPU, Pattern.compile(row), "the best PyTorch", pytorch, ratio, false);
    }

    static List<Goal> all() {
        return ALL;
    }

    static Optional<Goal> speedOf(Rows.Scale scale, String row) {
        return of(scale, row, false);
    }

    static Optional<Goal> memoryOf(Rows.Scale scale, String row) {
        return of(scale, row, true);
    }

    private static Optional<Goal> of(Rows.Scale scale, String row, boolean memory) {
        return ALL.stream()
                .filter(g -> g.scale == scale && g.memory == memory && g.isFor(row))
                .findFirst();
    }

    boolean isFor(String name) {
        return row.matcher(name).matches();
    }

    boolean countsAgainst(String peer) {
        return against.matcher(peer).matches();
    }
}
