package io.jacquard.cuda.mutation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The emulator's checking library with all mutations of one family in it, each off until chosen.
final class MutantLibrary {
    private static final Pattern PLACE = Pattern.compile("([^\\s:]+):(\\d+):(\\d+):");
    private static final Pattern NUMBER = Pattern.compile("mutation_\\w+\\((\\d+)");

    private final Path unbroken;
    private final Path folder;
    private final Family family;
    private final Map<Integer, Mutation> mutations;

    private MutantLibrary(Path unbroken, Path folder, Family family, Map<Integer, Mutation> mutations) {
        this.unbroken = unbroken;
        this.folder = folder;
        this.family = family;
        this.mutations = mutations;
    }

    /// The mutations in it, by number from 1.
    Map<Integer, Mutation> mutations() {
        return mutations;
    }

    Path file() {
        return folder.resolve("libjacquard-emulator.so");
    }

    /// Builds it in `folder` from the objects of the checking build in `unbroken`, with at most `limit` mutations.
    static MutantLibrary build(Family family, int limit, Path unbroken, Path folder, Path support)
            throws IOException, InterruptedException {
        Files.createDirectories(folder);
        Map<Integer, Mutation> numbered = new TreeMap<>();
        for (Mutation mutation : family.choose(limit)) {
            numbered.put(numbered.size() + 1, mutation);
        }
        MutantLibrary library = new MutantLibrary(unbroken, folder, family, numbered);
        library.dropWhatDoesNotCompile(support);
        library.writeSources();
        library.link(support);
        return library;
    }

    private void writeSources() throws IOException {
        for (Source source : family.sources()) {
            Map<Integer, Mutation> own = new LinkedHashMap<>();
            mutations.forEach((number, mutation) -> {
                if (mutation.source() == source) {
                    own.put(number, mutation);
                }
            });
            Files.writeString(folder.resolve(source.file), Schema.apply(source, own));
        }
    }

    private void dropWhatDoesNotCompile(Path support) throws IOException, InterruptedException {
        for (int round = 0; round < 60; round++) {
            writeSources();
            List<String> command = command(support, "kernel.o");
            command.add("-fsyntax-only");
            Output output = run(command);
            if (output.code() == 0) {
                return;
            }
            if (!dropBlamed(output.text())) {
                throw new IllegalStateException(family.name() + " does not compile:\n" + output.text());
            }
        }
        throw new IllegalStateException(family.name() + ": no end of errors");
    }

    /// Of each error the mutation whose text begins nearest on its line, or else on a line that the compiler names
    /// around it (macros, instantiations).
    private boolean dropBlamed(String errors) throws IOException {
        List<Integer> blamed = new ArrayList<>();
        String[] parts = errors.split("error: |sorry, unimplemented: ", -1);
        for (int i = 0; i + 1 < parts.length; i++) {
            List<Integer> candidates = new ArrayList<>();
            Matcher place = PLACE.matcher(parts[i] + parts[i + 1]);
            while (place.find()) {
                blame(place).ifPresent(place.end() >= parts[i].length() - 8 ? candidates::addFirst : candidates::add);
            }
            candidates.stream().limit(1).forEach(blamed::add);
        }
        blamed.forEach(mutations::remove);
        return !blamed.isEmpty();
    }

    private Optional<Integer> blame(Matcher place) throws IOException {
        Path file = folder.resolve(String.valueOf(Path.of(place.group(1)).getFileName()));
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        String text = Files.readAllLines(file).get(Integer.parseInt(place.group(2)) - 1);
        int column = Integer.parseInt(place.group(3));
        Map<Integer, Integer> distances = new TreeMap<>();
        Matcher number = NUMBER.matcher(text);
        while (number.find()) {
            distances.putIfAbsent(Math.abs(number.start() - column), Integer.parseInt(number.group(1)));
        }
        return distances.values().stream().filter(mutations::containsKey).findFirst();
    }

    // The checking build's own command, with our source, our headers first, and no warning an error.
    private List<String> command(Path support, String object) throws IOException {
        String command = Files.readString(unbroken.resolve("kernel_" + family.name() + ".o.cmd"));
        List<String> words = new ArrayList<>(Arrays.asList(command.strip().split("\\s+")));
        words.removeIf(word -> word.equals("-Werror") || word.equals("-Wall") || word.equals("-Wextra"));
        for (String flag : List.of("-MMD", "-MF", "-c", "-o")) {
            int at = words.indexOf(flag);
            words.remove(at);
            if (!flag.equals("-MMD")) {
                words.remove(at);
            }
        }
        words.addAll(
                1,
                List.of("-I" + folder, "-include", support.resolve("mutation.h").toString()));
        // An array of a size that is not constant is an extension that we do not want to meet.
        words.addAll(List.of("-w", "-Werror=vla", "-fmax-errors=0"));
        words.addAll(List.of("-c", folder.resolve(family.name() + ".cu").toString()));
        words.addAll(List.of("-o", folder.resolve(object).toString()));
        return words;
    }

    private void link(Path support) throws IOException, InterruptedException {
        must(run(command(support, "kernel.o")));
        String own = "kernel_" + family.name() + ".o";
        String listed = Files.readString(unbroken.resolve("libjacquard-emulator.so.list"));
        List<String> objects = new ArrayList<>(Arrays.asList(listed.strip().split("\\s+")));
        if (!objects.removeIf(object -> Path.of(object).endsWith(own))) {
            throw new IllegalStateException(own + " is not in the library of " + unbroken);
        }
        List<String> command = new ArrayList<>(List.of(compiler(), "-shared", "-fPIC", "-O1"));
        command.addAll(objects);
        command.add(folder.resolve("kernel.o").toString());
        command.add(support.resolve("mutation.cpp").toString());
        command.addAll(List.of("-Wl,-z,defs", "-Wl,-z,nodelete", "-lpthread", "-ldl", "-o", file().toString()));
        must(run(command));
    }

    private String compiler() throws IOException {
        return Files.readString(unbroken.resolve("kernel_" + family.name() + ".o.cmd"))
                .strip()
                .split("\\s+", 2)[0];
    }

    private void must(Output output) {
        if (output.code() != 0) {
            throw new IllegalStateException(family.name() + ": " + output.text());
        }
    }

    private record Output(int code, String text) {}

    private Output run(List<String> command) throws IOException, InterruptedException {
        Path log = folder.resolve("compiler.log");
        int code = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start()
                .waitFor();
        return new Output(code, Files.readString(log));
    }
}
