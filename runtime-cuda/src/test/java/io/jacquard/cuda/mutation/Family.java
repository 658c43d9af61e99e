package io.jacquard.cuda.mutation;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A kernel file with the headers that it shares with few others, and the methods of [io.jacquard.tensor.spi.Kernels]
/// that run on it, on a device of compute capability `capability`; `count` mutants of it are wanted.
/// `cases` is a pattern of the names of those cases that are worth their time.
record Family(String name, int capability, int count, String cases, Set<String> methods, List<Source> sources) {
    // What everything rests on has tests of its own.
    private static final Set<String> FOUNDATION = Set.of("kernel.cuh", "types.cuh");

    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"([^\"]+)\"");

    Family withCount(int mutants) {
        return new Family(name, capability, mutants, cases, methods, sources);
    }

    /// Lines `name capability count [cases]: method method ...`.
    static List<Family> read(Path list, Path nativeFolder) throws IOException {
        List<Family> families = new ArrayList<>();
        for (String line : Files.readAllLines(list)) {
            if (!line.isBlank() && !line.startsWith("#")) {
                String[] halves = line.split(":", 2);
                String[] head = halves[0].strip().split(" +", 4);
                families.add(new Family(
                        head[0],
                        Integer.parseInt(head[1]),
                        Integer.parseInt(head[2]),
                        head.length > 3 ? head[3] : ".*",
                        Set.of(halves[1].strip().split(" +")),
                        sources(nativeFolder, head[0])));
            }
        }
        return families;
    }

    private static List<Source> sources(Path folder, String name) throws IOException {
        Map<String, Source> found = new LinkedHashMap<>();
        Deque<Path> open = new ArrayDeque<>(List.of(folder.resolve("src").resolve(name + ".cu")));
        while (!open.isEmpty()) {
            Path file = open.remove();
            String text = Files.readString(file);
            String fileName = String.valueOf(file.getFileName());
            found.put(fileName, new Source(fileName, text));
            Matcher include = INCLUDE.matcher(text);
            while (include.find()) {
                String header = include.group(1);
                if (!FOUNDATION.contains(header) && !header.startsWith("ptx") && !found.containsKey(header)) {
                    open.add(folder.resolve("include").resolve(header));
                }
            }
        }
        return List.copyOf(found.values());
    }

    /// `limit` mutations, always the same for the same sources: the operators take turns, and each takes its places
    /// in the order of a hash.
    List<Mutation> choose(int limit) {
        Map<String, Deque<Mutation>> byOperator = new TreeMap<>();
        Map<Mutation, String> order = new HashMap<>();
        for (Source source : sources) {
            Operators.find(source).forEach(mutation -> order.put(mutation, hash(name + mutation.key())));
        }
        order.keySet().stream()
                .sorted(Comparator.comparing(order::get))
                .forEach(m -> byOperator
                        .computeIfAbsent(m.operator(), _ -> new ArrayDeque<>())
                        .add(m));
        List<Mutation> chosen = new ArrayList<>();
        while (chosen.size() < limit && !byOperator.isEmpty()) {
            for (Deque<Mutation> queue : List.copyOf(byOperator.values())) {
                if (chosen.size() < limit && !queue.isEmpty()) {
                    chosen.add(queue.remove());
                }
            }
            byOperator.values().removeIf(Deque::isEmpty);
        }
        return chosen;
    }

    private static String hash(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException e) {
            throw new UncheckedIOException(new IOException(e));
        }
    }
}
