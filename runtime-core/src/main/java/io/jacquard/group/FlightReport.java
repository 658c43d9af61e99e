package io.jacquard.group;

import io.jacquard.group.RankState.Doing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What people read when ranks have failed: one line that says why, and a table of where all ranks are.
///
/// ```text
/// group: nothing has moved for 12 s: rank 1 does not answer (stopped, or cut off)
///   ranks   what          for     operation                    called at
///   0, 2    waits in      12.1 s  #21 all-reduce [100000] F32  Step.java:31
///   1       silent after  12.4 s  #20 all-reduce [100000] F32  Step.java:31
/// ```
public final class FlightReport {
    /// Of a [Watch#directory]: the newest report.
    public static final String FILE = "report.txt";

    private static final List<String> TITLES = List.of("ranks", "what", "for", "operation", "called at");
    private static final int BEFORE = 5;

    private FlightReport() {}

    /// Why ranks that have met cannot go on together: `group: ranks came to different operations: rank 0 #2
    /// all-reduce [4] F32; rank 1 #2 barrier`.
    public static String different(List<RankState> states) {
        Map<String, List<Integer>> places = new LinkedHashMap<>();
        for (RankState s : states) {
            FlightEntry place = s.place();
            places.computeIfAbsent(place == null ? "none" : place.words(), _ -> new ArrayList<>())
                    .add(s.rank());
        }
        StringJoiner text = new StringJoiner("; ");
        places.forEach((words, ranks) -> text.add(Ranks.words(ranks) + " " + words));
        return "group: ranks came to different operations: " + text;
    }

    /// The report, without a line break at its end. Ranks that are at the same place share a row.
    public static String of(String why, List<RankState> states) {
        List<RankState> sorted =
                states.stream().sorted(Comparator.comparingInt(RankState::rank)).toList();
        Map<List<String>, List<RankState>> rows = new LinkedHashMap<>();
        for (RankState s : sorted) {
            rows.computeIfAbsent(same(s), _ -> new ArrayList<>()).add(s);
        }
        List<List<String>> table = new ArrayList<>(List.of(TITLES));
        rows.values().forEach(alike -> table.add(row(alike)));
        StringBuilder text = new StringBuilder(why);
        lines(table).forEach(line -> text.append("\n  ").append(line));
        rows.values().forEach(alike -> {
            if (!alike.getFirst().where().isEmpty()) {
                text.append("\n  ").append(Ranks.words(ranks(alike))).append(alike.size() == 1 ? " is" : " are");
                text.append(" at ").append(alike.getFirst().where());
            }
        });
        return text.toString();
    }

    /// What must be equal for ranks to share a row.
    private static List<String> same(RankState s) {
        FlightEntry place = s.place();
        return List.of(
                s.words(), place == null ? "" : place.toString(), place == null ? "" : place.calledAt(), s.where());
    }

    private static List<String> row(List<RankState> alike) {
        RankState s = alike.getFirst();
        FlightEntry place = s.place();
        long longest = alike.stream().mapToLong(RankState::quietNanos).max().orElse(0);
        long more =
                s.flights().stream().filter(f -> f.isOpen() && !f.equals(place)).count();
        return List.of(
                Ranks.list(ranks(alike)),
                s.words(),
                s.doing() == Doing.UNKNOWN ? "" : String.format(Locale.ROOT, "%.1f s", longest / 1e9),
                place == null ? "no operation" : place + (more > 0 ? " and " + more + " more" : ""),
                place == null ? "" : place.calledAt());
    }

    private static List<Integer> ranks(List<RankState> alike) {
        return alike.stream().map(RankState::rank).toList();
    }

    private static List<String> lines(List<List<String>> table) {
        int[] width = new int[TITLES.size()];
        for (List<String> row : table) {
            for (int i = 0; i < width.length; i++) {
                width[i] = Math.max(width[i], row.get(i).length());
            }
        }
        return table.stream()
                .map(row -> {
                    StringBuilder line = new StringBuilder();
                    for (int i = 0; i < width.length; i++) {
                        line.append(row.get(i))
                                .repeat(' ', width[i] - row.get(i).length() + 2);
                    }
                    return line.toString().stripTrailing();
                })
                .toList();
    }

    /// Writes a report to [#FILE], with the operations before: those are too many to print.
    public static void write(Path directory, String report, List<RankState> states) throws IOException {
        StringBuilder text = new StringBuilder(report).append("\n\nbefore:\n");
        for (RankState s : states) {
            for (FlightEntry f : s.flights()
                    .subList(
                            Math.max(0, s.flights().size() - BEFORE),
                            s.flights().size())) {
                text.append(String.format(
                        Locale.ROOT,
                        "  rank %d %s, %s%s%n",
                        s.rank(),
                        f,
                        f.isOpen()
                                ? "not ended"
                                : String.format(Locale.ROOT, "%.3f ms", (f.endedNanos() - f.beganNanos()) / 1e6),
                        f.calledAt().isEmpty() ? "" : ", called at " + f.calledAt()));
            }
        }
        Files.createDirectories(directory);
        Files.writeString(directory.resolve(FILE), text);
    }

    /// What the recorders in a directory hold, for when no rank could report: all were killed, or still run. Empty
    /// if there is none.
    public static String ofDirectory(Path directory) throws IOException {
        List<RankState> states = new ArrayList<>();
        boolean running = false;
        for (FlightRecorder.Found f : found(directory)) {
            boolean runs = Processes.mayRun(f.space(), f.process());
            running |= runs;
            states.add(state(f.rank(), runs ? null : Doing.ENDED, f.flights()));
        }
        return states.isEmpty()
                ? ""
                : of(running ? "group: the ranks run" : "group: the ranks have ended without a report", states);
    }

    /// What the recorder of a rank that does not answer holds; null if it cannot be read.
    public static @Nullable RankState ofSilent(Path directory, int rank, boolean ended) {
        try {
            FlightRecorder.Found f = FlightRecorder.read(FlightRecorder.file(directory, rank));
            if (f == null) {
                return null;
            }
            // a file of another machine may lag behind
            Doing silent = f.space().equals(Processes.SPACE) ? Doing.SILENT : Doing.UNKNOWN;
            return state(rank, ended ? Doing.ENDED : silent, f.flights());
        } catch (IOException e) {
            return null;
        }
    }

    private static RankState state(int rank, @Nullable Doing doing, List<FlightEntry> flights) {
        boolean inside = flights.stream().anyMatch(FlightEntry::waits);
        Doing what = doing != null ? doing : inside ? Doing.WAITS : Doing.COMPUTES;
        RankState s = new RankState(rank, what, 0, 0, flights, "");
        FlightEntry place = s.place();
        long since = place == null ? 0 : place.isOpen() ? place.beganNanos() : place.endedNanos();
        return new RankState(rank, what, place == null ? 0 : FlightRecorder.now() - since, 0, flights, "");
    }

    private static List<FlightRecorder.Found> found(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        List<FlightRecorder.Found> all = new ArrayList<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.filter(f -> f.getFileName().toString().matches("rank-\\d+"))
                    .toList()) {
                FlightRecorder.Found f = FlightRecorder.read(file);
                if (f != null) {
                    all.add(f);
                }
            }
        }
        // those of an earlier start with more ranks
        int size = all.stream()
                .filter(f -> f.rank() == 0)
                .mapToInt(FlightRecorder.Found::size)
                .findFirst()
                .orElse(Integer.MAX_VALUE);
        all.removeIf(f -> f.rank() >= size);
        all.sort(Comparator.comparingInt(FlightRecorder.Found::rank));
        return all;
    }
}
