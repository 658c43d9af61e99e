package io.jacquard.benchmarks.suite;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// What a row should reach: time of a peer over ours, or our peak memory over the peer's.
///
/// @param row which rows, by name
/// @param against which of the peers: the fastest of these counts
/// @param ratio the least speed ratio, or with `memory` the most memory
record Goal(Pattern row, String words, Pattern against, double ratio, boolean memory) {
    private static final List<Goal> ALL = List.of(
            speed("(layer|rms) norm backward.* bf16", "torch.compile", "pytorch compile.*", 2.2),
            speed("clip \\+ AdamW \\+ cast.* bf16", "fused AdamW + clip", "pytorch.*", 1.15),
            speed("step .* B=1 bf16", "torch.compile, whole step in one graph", "pytorch compile.*", 2.0),
            speed(
                    "attention forward hd64 causal T=1024 .* bf16",
                    "the best forced SDPA backend",
                    "pytorch sdpa.*",
                    1.25),
            speed(
                    "attention forward hd128 causal T=8192 .* bf16",
                    "the best forced SDPA backend",
                    "pytorch sdpa.*",
                    1.05),
            speed("attention backward hd128 causal T=8192 .* bf16", "cuDNN", "pytorch sdpa cudnn", 1.10),
            speed("step gpt2-124m T=1024 B=32 bf16", "torch.compile with its best backend", "pytorch compile.*", 1.3),
            new Goal(
                    Pattern.compile("step gpt2-124m T=1024 B=32 bf16"),
                    "torch.compile's peak memory",
                    Pattern.compile("pytorch compile.*"),
                    0.6,
                    true));

    private static Goal speed(String row, String words, String against, double ratio) {
        return new Goal(Pattern.compile(row), words, Pattern.compile(against), ratio, false);
    }

    static List<Goal> all() {
        return ALL;
    }

    static Optional<Goal> speedOf(String row) {
        return ALL.stream()
                .filter(g -> !g.memory && g.row.matcher(row).matches())
                .findFirst();
    }

    static Optional<Goal> memoryOf(String row) {
        return ALL.stream()
                .filter(g -> g.memory && g.row.matcher(row).matches())
                .findFirst();
    }

    boolean countsAgainst(String peer) {
        return against.matcher(peer).matches();
    }
}
