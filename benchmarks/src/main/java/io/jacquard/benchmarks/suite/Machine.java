package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What the machine's own tools say.
final class Machine {
    private static final String[] STATE = {
        "clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "clocks_throttle_reasons.active"
    };

    private Machine() {}

    /// What a command prints; empty where it is absent or fails.
    static String output(String... command) {
        try {
            Process p = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            p.getOutputStream().close();
            String text = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return p.waitFor() == 0 ? text : "";
        } catch (IOException e) {
            return "";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "";
        }
    }

    /// Clocks (MHz), watts, degrees and what throttles a GPU, right after a row; null where nvidia-smi is absent.
    static @Nullable Map<String, String> gpuState(String device) {
        int colon = device.indexOf(':');
        String index = colon < 0 ? "0" : device.substring(colon + 1);
        String line = output(
                "nvidia-smi", "-i", index, "--query-gpu=" + String.join(",", STATE), "--format=csv,noheader,nounits");
        String[] values = line.split(", *", -1);
        if (values.length != STATE.length) {
            return null;
        }
        Map<String, String> state = new LinkedHashMap<>();
        for (int i = 0; i < STATE.length; i++) {
            state.put(STATE[i], values[i]);
        }
        return state;
    }
}
