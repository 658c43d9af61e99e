package io.jacquard.check;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Nccl;
import io.jacquard.tensor.DeviceException;
import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Groups over NCCL where it is installed: `GroupsSection CLASS...`. Ranks that share a GPU need a newer version.
final class GroupsSection {
    private static final String PAIR = "Pair";
    private static final int OLDEST_FOR_PAIRS = 23003;

    private GroupsSection() {}

    public static void main(String[] classes) throws IOException {
        String problem = problem();
        if (problem != null) {
            Findings.fact("absent", problem);
            Findings.expect(0);
            return;
        }
        int version = Nccl.get().version();
        Findings.fact("nccl", version);
        boolean pairs = version >= OLDEST_FOR_PAIRS;
        Findings.fact("ranks on this GPU", pairs ? 2 : 1);
        SuiteSection.main(
                Arrays.stream(classes).filter(c -> pairs || !c.contains(PAIR)).toArray(String[]::new));
    }

    private static @Nullable String problem() {
        if (Driver.get().isEmulator()) {
            return "NCCL knows no emulated device";
        }
        try {
            Nccl.get();
            return null;
        } catch (DeviceException e) {
            return e.getMessage();
        }
    }
}
