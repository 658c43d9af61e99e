package io.jacquard.benchmarks.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;

/// What the machine itself gained between two runs, by what did not change: the geometric mean over the peers where
/// both runs have the same, else over the probes of the roofline.
///
/// @param log the logarithm of its speed in the later run over that in the earlier
/// @param draws the same in other runs that could have been; of probes always the same, for they have no noise to draw
/// @param noise how much the peers' gains differ, as a standard deviation (by the median of the distances, which a few
///     wild ones do not change): what whole runs differ by where nothing changed; 0 for unknown
/// @param by where this is from
record Drift(double log, double[] draws, double noise, String by) {
    static Drift between(Run before, Run after) {
        Set<String> changed = new TreeSet<>();
        List<Pair> pairs = peers(before, after, changed);
        Drift drift = pairs.isEmpty() ? ofProbes(before, after) : ofPairs(pairs);
        return changed.isEmpty()
                ? drift
                : new Drift(
                        drift.log,
                        drift.draws,
                        drift.noise,
                        drift.by + "; not by what changed too: " + String.join(", ", changed));
    }

    private static List<Pair> peers(Run before, Run after, Set<String> changed) {
        List<Pair> pairs = new ArrayList<>();
        Map<String, JsonNode> later = after.rows();
        before.rows().forEach((name, row) -> {
            JsonNode peersAfter = later.containsKey(name) ? later.get(name).path("peers") : row.path("none");
            row.path("peers").propertyStream().forEach(peer -> {
                JsonNode now = peersAfter.path(peer.getKey());
                if (Run.timed(peer.getValue()) && Run.timed(now)) {
                    String contender = before.contender(peer.getKey());
                    if (sameVersion(contender, before, after)) {
                        pairs.add(
                                new Pair(name + "/" + peer.getKey(), before.times(peer.getValue()), after.times(now)));
                    } else {
                        changed.add(contender);
                    }
                }
            });
        });
        return pairs;
    }

    private static boolean sameVersion(String contender, Run before, Run after) {
        JsonNode was = before.contenders().get(contender);
        return was != null && was.equals(after.contenders().get(contender));
    }

    private static Drift ofPairs(List<Pair> pairs) {
        double[] mean = new double[Pair.DRAWS];
        double log = pairs.stream().mapToDouble(Pair::log).average().orElse(0);
        for (Pair pair : pairs) {
            double[] draws = pair.draws();
            for (int i = 0; i < mean.length; i++) {
                mean[i] += draws[i] / pairs.size();
            }
        }
        double[] distances = pairs.stream()
                .mapToDouble(p -> Math.abs(p.log() - log))
                .sorted()
                .toArray();
        double noise = 1.4826 * distances[distances.length / 2];
        return new Drift(log, mean, noise, "times of peers (" + pairs.size() + ")");
    }

    private static Drift ofProbes(Run before, Run after) {
        double log = 0;
        int count = 0;
        for (Map.Entry<String, JsonNode> rate : before.json().path("roofline").properties()) {
            double was = rate.getValue().asDouble(0);
            double now = after.json().path("roofline").path(rate.getKey()).asDouble(0);
            if (was > 0 && now > 0) {
                log += Math.log(now / was);
                count++;
            }
        }
        double mean = count == 0 ? 0 : log / count;
        double[] draws = new double[Pair.DRAWS];
        Arrays.fill(draws, mean);
        return new Drift(
                mean,
                draws,
                0,
                count == 0 ? "nothing: no peer and no probe in both" : "probes of the roofline (" + count + ")");
    }
}
