package io.jacquard.group;

import io.jacquard.group.RankState.Doing;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Why ranks that wait will wait for ever: one rule for all engines.
public final class Verdict {
    private Verdict() {}

    /// The reason to give up; null while there is hope.
    ///
    /// @param all what is known of every rank that others may wait for
    /// @param quietNanos how long nothing has moved for the rank that asks
    public static @Nullable String of(List<RankState> all, long quietNanos, Watch watch) {
        long timeout = watch.timeout().toNanos();
        List<Integer> ended = those(all, s -> s.doing() == Doing.ENDED);
        List<Integer> silent = those(all, s -> s.doing() == Doing.SILENT || s.doing() == Doing.UNKNOWN);
        List<Integer> circling =
                those(all, s -> s.circlingNanos() >= watch.circling().toNanos());
        List<Integer> away = those(all, s -> s.doing() != Doing.WAITS);
        if (!ended.isEmpty()) {
            return text(quietNanos, ended, "has ended", "have ended");
        }
        if (!silent.isEmpty()) {
            return text(quietNanos, silent, "does not answer", "do not answer") + " (stopped, or cut off)";
        }
        if (!circling.isEmpty()) {
            return text(quietNanos, circling, "computes", "compute") + " in a circle, without an operation, a tensor,"
                    + " input, output or a pause";
        }
        if (away.isEmpty() && all.stream().allMatch(s -> s.quietNanos() >= timeout)) {
            return quiet(quietNanos) + "all ranks wait for each other";
        }
        return quietNanos < watch.patience().toNanos()
                ? null
                : text(quietNanos, away.isEmpty() ? those(all, _ -> true) : away, "does not come", "do not come");
    }

    private static String text(long quietNanos, List<Integer> ranks, String one, String more) {
        return quiet(quietNanos) + Ranks.words(ranks) + " " + (ranks.size() == 1 ? one : more);
    }

    private static String quiet(long nanos) {
        return "group: nothing has moved for " + nanos / 1_000_000_000 + " s: ";
    }

    private static List<Integer> those(List<RankState> all, Predicate<RankState> which) {
        return all.stream().filter(which).map(RankState::rank).sorted().toList();
    }
}
