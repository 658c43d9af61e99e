package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/// One kernel row: all sides make their operands, are checked against doubles, then are timed in turns.
final class KernelTurns {
    private final Turns turns;
    private final Contenders contenders;
    private final Row row;
    private final Result result;
    private final Map<Way, Samples> peers = new LinkedHashMap<>();
    private final Map<Way, Double> errors = new LinkedHashMap<>();
    private final Map<Way, Integer> launches = new LinkedHashMap<>();

    /// One of the ways that a peer has of doing a row.
    private record Way(String peer, String variant) {
        String label() {
            return Contenders.label(peer, variant);
        }
    }

    KernelTurns(Turns turns, Contenders contenders, Row row, Result result) {
        this.turns = turns;
        this.contenders = contenders;
        this.row = row;
        this.result = result;
    }

    void run() throws IOException {
        try {
            Samples mine = new Samples();
            OwnTurn first = ours(mine);
            result.put("bytes", first.bytes());
            result.put("operations", first.operations());
            result.put("matrix", row.computes() ? row.dtype() : null);
            result.put("error_fp64", Result.round(first.error()));
            result.put("error_allowed", allowed());
            result.put("allocated_bytes", Result.round(first.allocated()));
            for (String peer : contenders.peers()) {
                prepare(peer);
            }
            peers.keySet().forEach(this::turn);
            long start = System.nanoTime();
            for (int round = 1; round < turns.rounds() && !turns.enough(round, start); round++) {
                ours(mine);
                List.copyOf(peers.keySet()).forEach(this::turn);
            }
            peers.forEach((way, samples) ->
                    result.peer(way.label(), samples, Map.of("error_fp64", errors.getOrDefault(way, Double.NaN))));
            result.ours(mine);
        } catch (Contender.Refused e) {
            result.end(Turns.words(e).contains("is wrong") ? Result.REFUSED : Result.FAILED, Turns.words(e));
        } finally {
            for (String peer : contenders.peers()) {
                Contender c = contenders.peer(peer);
                if (c != null) {
                    c.tell(Turns.command("free"));
                }
            }
        }
    }

    private OwnTurn ours(Samples samples) throws IOException {
        OwnTurn turn = contenders.turn(row, turns);
        samples.addRound(turn.micros());
        return turn;
    }

    private double allowed() {
        return row.allowed();
    }

    private void prepare(String name) {
        Contender peer = contenders.peer(name);
        if (peer == null) {
            return;
        }
        JsonNode variants;
        try {
            variants = peer.ask(Turns.command("prepare", "row", row.spec()), turns.patience())
                    .get("variants");
        } catch (IOException e) {
            result.peerFailed(name, Turns.words(e), null);
            return;
        }
        for (JsonNode variant : variants) {
            check(peer, new Way(name, variant.asString()));
        }
    }

    /// A way that hangs in its compiler takes the process with it, and the ways behind it; not the row.
    private void check(Contender peer, Way way) {
        try {
            double error = peer.ask(Turns.command("check", "variant", way.variant), turns.patience())
                    .get("error_fp64")
                    .asDouble(Double.POSITIVE_INFINITY);
            if (!(error <= allowed())) {
                result.peerFailed(way.label(), "the result is wrong: off by " + error, error);
                return;
            }
            errors.put(way, Result.round(error));
            launches.put(way, Turns.launches(time(peer, way, 3, 1).median()));
            peers.put(way, new Samples());
        } catch (IOException e) {
            result.peerFailed(way.label(), Turns.words(e), null);
        }
    }

    private void turn(Way way) {
        Samples samples = peers.get(way);
        Contender peer = contenders.peer(way.peer);
        if (peer == null || samples == null) {
            return;
        }
        try {
            samples.addRound(time(peer, way, turns.repetitions(), launches.getOrDefault(way, 1))
                    .all());
        } catch (IOException e) {
            peers.remove(way);
            result.peerFailed(way.label(), Turns.words(e), null);
        }
    }

    private Samples time(Contender peer, Way way, int repetitions, int runs) throws IOException {
        Samples samples = new Samples();
        samples.add(peer.ask(
                        Turns.command(
                                "time",
                                "variant",
                                way.variant,
                                "repetitions",
                                repetitions,
                                "launches",
                                runs,
                                "flush_bytes",
                                turns.flushBytes(row)),
                        turns.patience())
                .get("micros"));
        return samples;
    }
}
