package io.jacquard.benchmarks.suite;

import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.ModelSize;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/// A row of whole training steps. Ours lives through all of it; the peer's ways are built one after the other, so that
/// two models at most share the memory.
final class StepTurns {
    /// Both start from random weights of the same distribution and see random tokens of the same distribution;
    /// their losses after the same number of steps are as near as this, or they do not do the same work.
    private static final double LOSS_TOLERANCE = 0.1;

    private static final int WARM_UP = 3;

    private final Turns turns;
    private final Contender ours;
    private final Contenders contenders;
    private final Row row;
    private final Result result;
    private final Samples mine = new Samples();
    private final Map<Integer, Double> losses = new LinkedHashMap<>();
    private final List<String> disagreements = new ArrayList<>();
    private boolean agreed;
    private long peakBytes;

    /// @param ours a [StepServer] for this row
    StepTurns(Turns turns, Contender ours, Contenders contenders, Row row, Result result) {
        this.turns = turns;
        this.ours = ours;
        this.contenders = contenders;
        this.row = row;
        this.result = result;
    }

    void run() throws IOException {
        long parameters = ours.ready().get("parameters").asLong();
        result.put("parameters", parameters);
        work(parameters);
        own(WARM_UP);
        for (String peer : contenders.peers()) {
            against(peer);
        }
        while (mine.count() < turns.rounds()) { // no peer was there
            mine.add(own(turns.steps()).get("micros"));
        }
        finish();
    }

    /// Operations by the model's size: 6 for each weight that is multiplied, 12 L C T for attention, per token.
    private void work(long parameters) {
        DecoderConfig c = ModelSize.of(row.text("model")).config(row.number("time"));
        long unmultiplied = c.type().equals("gpt2")
                ? (long) c.context() * c.width()
                : c.tied() ? 0 : (long) c.vocabulary() * c.width();
        result.put("tokens", tokens());
        result.put("bytes", 0L);
        result.put("operations", (long) (c.flopsPerToken(parameters - unmultiplied, c.context()) * tokens()));
        result.put("matrix", row.dtype());
    }

    private long tokens() {
        return (long) row.number("time") * row.number("batch");
    }

    private JsonNode own(int steps) throws IOException {
        JsonNode answer = ours.ask(Turns.command("run", "steps", steps), turns.patience());
        losses.put(answer.get("step").asInt(), answer.get("loss").asDouble());
        peakBytes = answer.get(turns.gpu() ? "peak_bytes" : "peak_rss_bytes").asLong();
        return answer;
    }

    private void against(String name) throws IOException {
        Contender peer = contenders.peer(name);
        if (peer == null) {
            return;
        }
        try {
            JsonNode variants;
            try {
                variants =
                        ask(peer, Turns.command("prepare", "row", row.spec())).get("variants");
            } catch (PeerFailed e) {
                result.peerFailed(name, Turns.words(e), null);
                return;
            }
            for (JsonNode variant : variants) {
                String label = Contenders.label(name, variant.asString());
                if (turns.isOver()) {
                    result.peerFailed(label, "no time left", null);
                    continue;
                }
                try {
                    against(peer, variant.asString(), label);
                } catch (PeerFailed e) {
                    result.peerFailed(label, Turns.words(e), null);
                }
            }
        } finally {
            peer.tell(Turns.command("free"));
        }
    }

    private void against(Contender peer, String variant, String label) throws IOException, PeerFailed {
        ask(peer, Turns.command("start", "variant", variant));
        ask(peer, Turns.command("run", "steps", WARM_UP));
        Samples theirs = new Samples();
        Map<String, Object> more = new LinkedHashMap<>();
        double loss = Double.NaN;
        int step = 0;
        long start = System.nanoTime();
        for (int round = 0; round < turns.rounds() && !turns.enough(round, start); round++) {
            mine.add(own(turns.steps()).get("micros"));
            JsonNode answer = ask(peer, Turns.command("run", "steps", turns.steps()));
            theirs.add(answer.get("micros"));
            loss = answer.get("loss").asDouble();
            step = answer.get("step").asInt();
            more.put(
                    "peak_bytes",
                    answer.get(turns.gpu() ? "peak_bytes" : "peak_rss_bytes").asLong());
        }
        more.put("loss", loss);
        more.put("step", step);
        Double same = losses.get(step);
        if (same == null || !(Math.abs(same - loss) <= LOSS_TOLERANCE * loss)) {
            result.peerFailed(
                    label,
                    "its loss does not agree: " + loss + " after step " + step + ", ours "
                            + (same == null ? "is not known there" : same),
                    Math.abs((same == null ? Double.NaN : same) - loss));
            disagreements.add(label + ": " + loss + " after step " + step + ", ours " + same);
            return;
        }
        agreed = true;
        result.peer(label, theirs, more);
    }

    /// The peer's failure is not ours: it ends one of its ways, not the row.
    private static final class PeerFailed extends Exception {
        private static final long serialVersionUID = 1;

        PeerFailed(IOException e) {
            super(Turns.words(e), e);
        }
    }

    private JsonNode ask(Contender peer, Map<String, Object> command) throws PeerFailed {
        try {
            return peer.ask(command, turns.patience());
        } catch (IOException e) {
            throw new PeerFailed(e);
        }
    }

    private void finish() {
        // one peer alone may be the one that is wrong; where nobody agrees with us, we are
        if (!agreed && !disagreements.isEmpty()) {
            result.end(Result.REFUSED, "the losses do not agree: " + String.join("; ", disagreements));
            return;
        }
        result.put("peak_bytes", peakBytes);
        losses.entrySet().stream().reduce((_, last) -> last).ifPresent(last -> {
            result.put("loss", last.getValue());
            result.put("step", last.getKey());
        });
        result.ours(mine);
        result.put("tokens_per_second", Result.round(tokens() / mine.median() * 1e6));
    }
}
