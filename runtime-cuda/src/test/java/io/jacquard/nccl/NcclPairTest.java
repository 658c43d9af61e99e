package io.jacquard.nccl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Nccl;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Two processes that share one GPU, which newer libraries allow for tests: the real exchange of ids, the real
/// transports, two real ranks.
@Tag("gpu")
final class NcclPairTest {
    /// The oldest version that lets ranks share a GPU.
    static final int OLDEST = 23003;

    /// NVLS wants all GPUs of a switch for itself, and two ranks must fit on one GPU at the same time.
    private static final Map<String, String> SHARED =
            Map.of("NCCL_MULTI_RANK_GPU_ENABLE", "1", "NCCL_NVLS_ENABLE", "0", "NCCL_MAX_CTAS", "2");

    private static final int SECONDS = 120;

    @TempDir
    private Path folder;

    @Test
    void contract() throws IOException, InterruptedException {
        assumeFalse(Driver.get().isEmulator(), "processes do not share emulated memory");
        assumeTrue(Nccl.get().version() >= OLDEST, "ranks share a GPU from NCCL " + Nccl.words(OLDEST) + " on");
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort() - 1;
        }
        List<Process> ranks = List.of(start(0, port), start(1, port));
        try {
            for (Process p : ranks) {
                assertTrue(
                        p.waitFor(SECONDS, TimeUnit.SECONDS), () -> "not done within " + SECONDS + " s: " + output());
            }
            List<String> missing = new ArrayList<>(NcclPairRank.cases().stream()
                    .map(c -> "passed: " + c.name())
                    .toList());
            missing.removeAll(Files.readAllLines(folder.resolve("rank0")));
            assertEquals(List.of(), missing, output());
            assertEquals(List.of(0, 0), ranks.stream().map(Process::exitValue).toList(), output());
        } finally {
            ranks.forEach(Process::destroyForcibly);
        }
    }

    private String output() {
        try {
            return Files.readString(folder.resolve("rank0")) + Files.readString(folder.resolve("rank1"));
        } catch (IOException e) {
            return e.toString();
        }
    }

    private Process start(int rank, int port) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx512m",
                "-XX:+UseSerialGC"));
        for (String name :
                List.of("jacquard.cuda.driver", "jacquard.cuda.libraries", "org.bytedeco.javacpp.cachedir")) {
            String value = System.getProperty(name);
            if (value != null) {
                command.add("-D" + name + "=" + value);
            }
        }
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), NcclPairRank.class.getName()));
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("rank" + rank).toFile());
        builder.environment().putAll(SHARED);
        builder.environment()
                .putAll(Map.of(
                        "RANK",
                        Integer.toString(rank),
                        "WORLD_SIZE",
                        "2",
                        "LOCAL_RANK",
                        Integer.toString(rank),
                        "LOCAL_WORLD_SIZE",
                        "2",
                        "MASTER_ADDR",
                        "127.0.0.1",
                        "MASTER_PORT",
                        Integer.toString(port)));
        return builder.start();
    }
}
