package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import picocli.CommandLine;

/// The whole `--help` of every command, as files: a change of a word shows in the review.
/// `mvn test -Djacquard.update=true -Dtest=HelpTest` writes them anew.
final class HelpTest {
    private static final Path FILES = Path.of("src/test/resources/help");

    private static Map<String, CommandLine> commands() {
        CommandLine main = Main.commandLine(new PrintWriter(new StringWriter()), new PrintWriter(new StringWriter()));
        Map<String, CommandLine> commands = new LinkedHashMap<>();
        commands.put("jacquard", main);
        commands.putAll(main.getSubcommands());
        return commands;
    }

    @TestFactory
    Stream<DynamicTest> helpIsAsReviewed() {
        return commands().entrySet().stream()
                .map(e -> DynamicTest.dynamicTest(e.getKey(), () -> compare(e.getKey(), e.getValue())));
    }

    private static void compare(String name, CommandLine command) throws IOException {
        command.setUsageHelpAutoWidth(false); // COLUMNS of whoever runs the test
        String help = command.getUsageMessage(CommandLine.Help.Ansi.OFF);
        Path file = FILES.resolve(name + ".txt");
        if (Boolean.getBoolean("jacquard.update")) {
            Files.createDirectories(FILES);
            Files.writeString(file, help);
        }
        assertEquals(
                Files.readString(file), help, file + "; if it is meant, run this test with -Djacquard.update=true");
    }

    @Test
    void everyFileIsOfACommand() throws IOException {
        try (Stream<Path> files = Files.list(FILES)) {
            assertEquals(
                    commands().keySet().stream().sorted().toList(),
                    files.map(f -> f.getFileName().toString().replace(".txt", ""))
                            .sorted()
                            .toList());
        }
    }
}
