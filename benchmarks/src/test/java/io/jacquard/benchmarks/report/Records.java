package io.jacquard.benchmarks.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// Records of runs that never were, with the noise of real ones: rounds that differ, times in a round that differ, and
/// now and then one that something else got in the way of.
final class Records {
    static final JsonMapper JSON = JsonMapper.builder().build();
    static final int ROUNDS = 3;
    private static final int REPETITIONS = 5;

    private final Random random;
    private final double roundNoise;
    private final double sampleNoise;
    private final Map<String, Object> head = new LinkedHashMap<>();
    private final List<Object> rows = new ArrayList<>();

    Records(long seed, double roundNoise, double sampleNoise) {
        this.random = new Random(seed);
        this.roundNoise = roundNoise;
        this.sampleNoise = sampleNoise;
        head.put("benchmark", "bench");
        head.put("format", 2);
        head.put("date", "2026-11-29T01:02:03Z");
        head.put("commit", "abc1234");
        head.put("command", "bench --device cpu");
        head.put("device", "cpu, 2 threads");
        head.put("machine", "cpu");
        head.put("cpu", "AMD EPYC");
        head.put("processors", 2);
        head.put("java", "25.0.3+9-LTS");
        head.put("dtype", "f32");
        head.put("complete", true);
        head.put("contenders", Map.of("pytorch", Map.of("present", true, "torch", "2.13.0")));
        head.put("roofline", Map.of("gigabytes_per_second", 20.0, "teraflops_f32", 0.3));
        head.put("protocol", Map.of("rounds", ROUNDS, "repetitions", REPETITIONS));
    }

    static Records quiet() {
        return new Records(1, 0, 0);
    }

    Records put(String key, Object value) {
        head.put(key, value);
        return this;
    }

    Records row(Map<String, Object> row) {
        rows.add(row);
        return this;
    }

    /// A row that took `micros`, its peers what the map says.
    Records row(String name, double micros, Map<String, Double> peers) {
        return row(timed(name, micros, peers));
    }

    Map<String, Object> timed(String name, double micros, Map<String, Double> peers) {
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("name", name);
        row.put("status", "measured");
        row.putAll(times(micros));
        Map<String, Object> all = new LinkedHashMap<>();
        peers.forEach((peer, time) -> {
            Map<String, Object> p = times(time);
            p.remove("rounds");
            p.put("status", "measured");
            all.put(peer, p);
        });
        row.put("peers", all);
        return row;
    }

    private Map<String, Object> times(double micros) {
        List<List<Double>> rounds = new ArrayList<>();
        for (int i = 0; i < ROUNDS; i++) {
            double round = micros * Math.exp(roundNoise * random.nextGaussian());
            List<Double> samples = new ArrayList<>();
            for (int j = 0; j < REPETITIONS; j++) {
                double late = sampleNoise > 0 && random.nextInt(20) == 0 ? 1 + random.nextDouble() : 1;
                samples.add(round * Math.exp(sampleNoise * random.nextGaussian()) * late);
            }
            rounds.add(samples);
        }
        List<Double> all = rounds.stream().flatMap(List::stream).toList();
        List<Double> sorted = all.stream().sorted().toList();
        Map<String, Object> times = new LinkedHashMap<>();
        times.put("micros", (sorted.get(all.size() / 2) + sorted.get((all.size() - 1) / 2)) / 2);
        times.put("samples", all);
        times.put("rounds", rounds);
        return times;
    }

    JsonNode build() {
        Map<String, Object> all = new LinkedHashMap<>(head);
        all.put("rows", rows);
        return JSON.readTree(JSON.writeValueAsString(all));
    }
}
