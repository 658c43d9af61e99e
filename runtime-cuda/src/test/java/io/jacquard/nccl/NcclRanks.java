package io.jacquard.nccl;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.line.HubLine;
import io.jacquard.line.Switchboard;
import io.jacquard.tensor.Session;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Ranks as threads, each with a device of its own, joined by NCCL: the stand-in, where devices are emulated.
final class NcclRanks {
    private static final Watch WATCH = Watch.of(Duration.ofSeconds(3));

    private NcclRanks() {}

    /// How many devices the emulated driver has.
    static void devices(int count) {
        Emulator.configure("devices", Integer.toString(count));
    }

    private static List<@Nullable RuntimeException> failures(int ranks, Watch watch, Consumer<Group> work) {
        RuntimeException[] failures = new RuntimeException[ranks];
        Switchboard board = new Switchboard();
        LocalGroup.run(ranks, local -> {
            int r = local.rank();
            try (HubLine line = HubLine.open(board, r, ranks, watch, HubLine.START);
                    Session _ = Session.open("cuda:" + r);
                    Group group = new NcclEngine().open(line)) {
                work.accept(group);
            } catch (RuntimeException e) {
                failures[r] = e;
            }
        });
        return Arrays.asList(failures);
    }

    /// Runs `work` in each rank; what each threw, in words.
    static List<String> messages(int ranks, Consumer<Group> work) {
        return messages(ranks, WATCH, work);
    }

    /// The same, with the report in a directory.
    static List<String> messages(int ranks, Path directory, Consumer<Group> work) {
        return messages(ranks, WATCH.in(directory), work);
    }

    /// The same, with another patience.
    static List<String> messages(int ranks, Watch watch, Consumer<Group> work) {
        return failures(ranks, watch, work).stream()
                .map(e -> e == null ? "" : String.valueOf(e.getMessage()))
                .toList();
    }

    /// Runs `work` in each rank, and throws what the first threw.
    static void run(int ranks, Consumer<Group> work) {
        for (RuntimeException e : failures(ranks, WATCH, work)) {
            if (e != null) {
                throw e;
            }
        }
    }
}
