package io.jacquard.cli;

import io.jacquard.io.Json;
import io.jacquard.tensor.spi.Finding;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        description = "Check this machine: Java, its flags, CPU, libraries, GPU; each problem with its fix.",
        footer = {"", "Example:", "  jacquard doctor", "Exit code 1 if training on the device would fail."})
final class DoctorCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "cpu",
            description = "Device that must work (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Option(names = "--json", description = "Print the findings as JSON.")
    private boolean json;

    @Override
    public Integer call() {
        var command = Objects.requireNonNull(spec).commandLine();
        List<Finding> findings = new Checkup(device).run();
        if (json) {
            List<Object> list = new ArrayList<>();
            for (Finding f : findings) {
                Map<String, @Nullable Object> values = new LinkedHashMap<>();
                values.put("what", f.what());
                values.put("state", f.state().name().toLowerCase(java.util.Locale.ROOT));
                values.put("found", f.found());
                values.put("fix", f.fix());
                list.add(values);
            }
            command.getOut().println(Json.render(Map.of("findings", list)));
        } else {
            for (Finding f : findings) {
                command.getOut().printf("%-5s %-12s %s%n", f.state(), f.what(), f.found());
                if (f.fix() != null) {
                    command.getOut().printf("%-5s %-12s fix: %s%n", "", "", f.fix());
                }
            }
        }
        command.getOut().flush();
        return findings.stream().anyMatch(f -> f.state() == Finding.State.BAD) ? Main.FAILED : 0;
    }
}
