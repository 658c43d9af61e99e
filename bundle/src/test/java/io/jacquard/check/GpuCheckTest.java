package io.jacquard.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// gpu-check on the emulator, with a few cases of the contract in place of thousands.
final class GpuCheckTest {
    private static final String CONTRACT = DeviceContract.class.getName();
    private static final String DRIVER = "jacquard.cuda.driver";
    private static final String CASES = "jacquard.contract";

    @TempDir
    private Path bundle;

    private final Map<String, @Nullable Object> expected = new TreeMap<>();
    private Path record;

    @BeforeEach
    void emptyBundle() throws IOException {
        record = bundle.resolve("records/check.json");
        System.setProperty(Manifest.ROOT, bundle.toString());
        System.setProperty(CASES, "fill,count");
        expected.put(CONTRACT, SuiteSection.count(CONTRACT));
        writeManifest();
    }

    @AfterEach
    void clear() {
        List.of(Manifest.ROOT, CASES, DRIVER).forEach(System::clearProperty);
    }

    private void writeManifest() throws IOException {
        Files.writeString(
                bundle.resolve(Manifest.FILE), Json.renderLines(Map.of("commit", "0123", "expected", expected)));
    }

    private int check(String... sections) {
        List<String> arguments = new ArrayList<>(
                List.of("--driver", System.getProperty("emulator.kernels"), "--out", record.toString()));
        arguments.addAll(List.of(sections));
        return GpuCheck.run(arguments.toArray(new String[0]));
    }

    private Map<?, ?> read(String... path) throws IOException {
        Object at = Json.readObject(record, 1 << 20);
        for (String name : path) {
            at = ((Map<?, ?>) at).get(name);
        }
        return (Map<?, ?>) at;
    }

    @Test
    void theRecordHasEveryTest() throws IOException {
        assertEquals(0, check("--only", "contract"));
        assertEquals(true, read().get("passed"));
        assertEquals(false, read().get("complete"));
        assertEquals("0123", read("bundle").get("commit"));
        assertEquals(
                "Jacquard emulator sm_90",
                read("sections", "environment", "facts").get("device"));
        assertEquals("not asked for", read("sections").get("probes"));
        Map<?, ?> tests = read("sections", "contract", "tests");
        assertEquals(((Long) expected.get(CONTRACT)).intValue(), tests.size());
        assertTrue(tests.values().stream().allMatch("passed"::equals), tests::toString);
        assertTrue(tests.containsKey("DeviceContract/everyMethodHasCases"), tests::toString);
    }

    @Test
    void fewerTestsThanExpectedFail() throws IOException {
        long count = (Long) expected.get(CONTRACT);
        expected.put(CONTRACT, count + 1);
        writeManifest();
        assertEquals(1, check("--only", "contract"));
        assertEquals(
                count + " tests ran, fewer than the expected " + (count + 1),
                read("sections", "contract").get("why"));
        assertEquals(false, read().get("passed"));
    }

    @Test
    void withoutADriverNothingElseRuns() throws IOException {
        assertEquals(1, GpuCheck.run("--driver", "/nowhere/libcuda.so.1", "--out", record.toString()));
        String said = String.valueOf(read("sections", "environment", "tests").get("the driver opens"));
        assertTrue(said.startsWith("failed: cuda: no NVIDIA driver found; tried /nowhere/libcuda.so.1"), said);
        assertEquals("not run", read("sections").get("contract"));
        assertEquals(false, read().get("complete"));
    }

    @Test
    void probesAgreeWithTheirDigests() throws IOException {
        Path folder = Files.createDirectories(bundle.resolve("probes"));
        Files.copy(Path.of("../native/emulator/probes/probes.txt"), folder.resolve("probes.txt"));
        System.setProperty(DRIVER, System.getProperty("emulator.probes"));
        Map<String, @Nullable Object> probes = section(Section.PROBES, 60);
        assertEquals("passed", probes.get("result"), probes::toString);
        assertTrue((Long) probes.get("passed") >= 66, probes::toString);
    }

    @Test
    void theEmulatorAgreesWithItself() throws IOException {
        Path folder = Files.createDirectories(bundle.resolve("emulator"));
        Path library = Path.of(System.getProperty("emulator.kernels"));
        Files.createSymbolicLink(folder.resolve("libjacquard-emulator.so"), library.toAbsolutePath());
        System.setProperty(DRIVER, library.toString());
        Map<String, @Nullable Object> run = section(Section.EMULATOR, 60, "7", "5");
        assertEquals("passed", run.get("result"), run::toString);
        Map<?, ?> facts = (Map<?, ?>) run.get("facts");
        assertEquals(facts.get("outputs"), facts.get("outputs of equal bits"));
    }

    @Test
    void groupsAreAbsentOnTheEmulator() throws IOException {
        System.setProperty(DRIVER, System.getProperty("emulator.kernels"));
        Map<String, @Nullable Object> run =
                section(Section.GROUPS, 60, Section.GROUPS.suites().toArray(new String[0]));
        assertEquals("absent", run.get("result"), run::toString);
        assertEquals(Map.of("absent", "NCCL knows no emulated device"), run.get("facts"));
    }

    @Test
    void aSectionThatHangsIsEnded() throws IOException {
        System.setProperty(DRIVER, System.getProperty("emulator.kernels"));
        Map<String, @Nullable Object> run = section(Section.CONTRACT, 0.01, CONTRACT);
        assertEquals("failed", run.get("result"));
        assertEquals("not done after its 0 seconds", run.get("why"));
    }

    @Test
    void wrongUsageIsSaid() {
        assertEquals(2, check("--only", "nonsense"));
        assertEquals(2, check("--size", "huge"));
        assertEquals(2, check("--device", "cpu"));
        assertFalse(Files.exists(record));
    }

    private static Map<String, @Nullable Object> section(Section section, double seconds, String... arguments)
            throws IOException {
        SectionRun run = new SectionRun(section, _ -> {});
        run.run(seconds, List.of(arguments), Map.of());
        return run.record();
    }
}
