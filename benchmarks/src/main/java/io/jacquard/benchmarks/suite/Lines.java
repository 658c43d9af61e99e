package io.jacquard.benchmarks.suite;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// A contender's side of the pipes: commands in, answers out, one line of JSON each. Whatever else the process prints
/// goes to its standard error.
public final class Lines {
    public static final JsonMapper JSON = JsonMapper.builder().build();

    private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private final PrintStream out =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    /// Takes standard output for itself.
    public Lines() {
        System.setOut(System.err);
    }

    /// The next command; null when there is none any more.
    @Nullable
    public JsonNode next() throws IOException {
        String line = in.readLine();
        if (line == null) {
            return null;
        }
        JsonNode command = JSON.readTree(line);
        return command.get("do").asString().equals("quit") ? null : command;
    }

    public void answer(Map<String, ?> values) {
        out.println(JSON.writeValueAsString(values));
    }

    public void fail(Throwable e) {
        answer(Map.of("error", e.getClass().getSimpleName() + ": " + e.getMessage()));
    }
}
