package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// One kernel row: both sides make their operands, are checked against doubles, then are timed in turns.
final class KernelTurns {
    private final Turns turns;
    private final Contender ours;
    private final @Nullable Contender peer;
    private final Row row;
    private final Result result;
    private final Map<String, Samples> peers = new LinkedHashMap<>();
    private final Map<String, Double> errors = new LinkedHashMap<>();
    private final Map<String, Integer> launches = new LinkedHashMap<>();

    private static final String OURS = "jacquard";

    KernelTurns(Turns turns, Contender ours, @Nullable Contender peer, Row row, Result result) {
        this.turns = turns;
        this.ours = ours;
        this.peer = peer;
        this.row = row;
        this.result = result;
    }

    void run() throws IOException {
        try {
            JsonNode work = ours.ask(Turns.command("prepare", "row", row.spec()), turns.patience());
            result.put("bytes", work.get("bytes").asLong());
            result.put("operations", work.get("operations").asLong());
            result.put(
                    "matrix",
                    work.get("matrix").isNull() ? null : work.get("matrix").asString());
            double error = ours.ask(Turns.command("check"), turns.patience())
                    .get("error_fp64")
                    .asDouble(Double.POSITIVE_INFINITY);
            double allowed = allowed();
            result.put("error_fp64", Result.round(error));
            result.put("error_allowed", allowed);
            if (!(error <= allowed)) {
                result.end(Result.REFUSED, "the result is wrong: off by " + error + ", allowed " + allowed);
                return;
            }
            launches.put(OURS, Turns.launches(time(ours, null, 3, 1).median()));
            preparePeer();
            result.ours(rounds());
        } catch (Contender.Refused e) {
            result.end(Result.FAILED, Turns.words(e));
        } finally {
            free(ours);
            free(peer);
        }
    }

    private double allowed() {
        return Deviation.allowed(Cases.dtype(Lines.JSON.valueToTree(row.spec())));
    }

    private void preparePeer() throws IOException {
        if (peer == null) {
            return;
        }
        JsonNode answer;
        try {
            answer = peer.ask(Turns.command("prepare", "row", row.spec()), turns.patience());
        } catch (IOException e) {
            result.peerFailed("all", Turns.words(e), null);
            return;
        }
        for (JsonNode node : answer.get("variants")) {
            String variant = node.asString();
            try { // a way that hangs in its compiler takes the process with it, and the ways behind it; not the row
                double error = peer.ask(Turns.command("check", "variant", variant), turns.patience())
                        .get("error_fp64")
                        .asDouble(Double.POSITIVE_INFINITY);
                if (!(error <= allowed())) {
                    result.peerFailed(variant, "the result is wrong: off by " + error, error);
                    continue;
                }
                errors.put(variant, Result.round(error));
                launches.put(variant, Turns.launches(time(peer, variant, 3, 1).median()));
                peers.put(variant, new Samples());
            } catch (IOException e) {
                result.peerFailed(variant, Turns.words(e), null);
            }
        }
    }

    private Samples rounds() throws IOException {
        Samples mine = new Samples();
        time(ours, null, turns.repetitions(), launches.getOrDefault(OURS, 1)); // warm: code, clocks
        long start = System.nanoTime();
        for (int round = 0; round < turns.rounds() && !turns.enough(round, start); round++) {
            mine.addAll(time(ours, null, turns.repetitions(), launches.getOrDefault(OURS, 1)));
            for (String variant : List.copyOf(peers.keySet())) {
                turn(variant);
            }
        }
        peers.forEach((variant, samples) ->
                result.peer(variant, samples, Map.of("error_fp64", errors.getOrDefault(variant, Double.NaN))));
        return mine;
    }

    private void turn(String variant) {
        Samples samples = peers.get(variant);
        if (peer == null || samples == null) {
            return;
        }
        try {
            samples.addAll(time(peer, variant, turns.repetitions(), launches.getOrDefault(variant, 1)));
        } catch (IOException e) {
            peers.remove(variant);
            result.peerFailed(variant, Turns.words(e), null);
        }
    }

    private Samples time(Contender who, @Nullable String variant, int repetitions, int runs) throws IOException {
        Map<String, Object> command = Turns.command(
                "time", "repetitions", repetitions, "launches", runs, "flush_bytes", turns.flushBytes(row));
        if (variant != null) {
            command.put("variant", variant);
        }
        Samples samples = new Samples();
        samples.add(who.ask(command, turns.patience()).get("micros"));
        return samples;
    }

    private void free(@Nullable Contender who) {
        if (who != null) {
            who.tell(Turns.command("free"));
        }
    }
}
