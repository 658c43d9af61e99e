package io.jacquard.benchmarks.suite;

import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.ModelSize;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
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
    private final @Nullable Contender peer;
    private final Row row;
    private final Result result;
    private final Samples mine = new Samples();
    private final Map<Integer, Double> losses = new LinkedHashMap<>();
    private long peakBytes;

    /// @param ours a [StepServer] for this row
    StepTurns(Turns turns, Contender ours, @Nullable Contender peer, Row row, Result result) {
        this.turns = turns;
        this.ours = ours;
        this.peer = peer;
        this.row = row;
        this.result = result;
    }

    void run() throws IOException {
        long parameters = ours.ready().get("parameters").asLong();
        result.put("parameters", parameters);
        work(parameters);
        own(WARM_UP);
        List<String> variants = new ArrayList<>();
        if (peer != null) {
            try {
                peer.ask(Turns.command("prepare", "row", row.spec()), turns.patience())
                        .get("variants")
                        .forEach(v -> variants.add(v.asString()));
            } catch (IOException e) {
                result.peerFailed("all", Turns.words(e), null);
            }
        }
        try {
            for (String variant : variants) {
                against(variant);
            }
            boolean alone = mine.count() == 0;
            while (alone && mine.count() < turns.rounds()) {
                mine.add(own(turns.steps()).get("micros"));
            }
        } finally {
            if (peer != null) {
                peer.tell(Turns.command("free"));
            }
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

    private void against(String variant) throws IOException {
        if (peer == null || turns.isOver()) {
            result.peerFailed(variant, "no time left", null);
            return;
        }
        try {
            askPeer(Turns.command("start", "variant", variant));
            askPeer(Turns.command("run", "steps", WARM_UP));
            Samples theirs = new Samples();
            Map<String, Object> more = new LinkedHashMap<>();
            double loss = Double.NaN;
            int step = 0;
            long start = System.nanoTime();
            for (int round = 0; round < turns.rounds() && !turns.enough(round, start); round++) {
                mine.add(own(turns.steps()).get("micros"));
                JsonNode answer = askPeer(Turns.command("run", "steps", turns.steps()));
                theirs.add(answer.get("micros"));
                loss = answer.get("loss").asDouble();
                step = answer.get("step").asInt();
                more.put(
                        "peak_bytes",
                        answer.get(turns.gpu() ? "peak_bytes" : "peak_rss_bytes")
                                .asLong());
            }
            more.put("loss", loss);
            more.put("step", step);
            Double same = losses.get(step);
            if (same == null || !(Math.abs(same - loss) <= LOSS_TOLERANCE * loss)) {
                result.put("loss_disagrees", variant + ": " + loss + " after step " + step + ", ours " + same);
            }
            result.peer(variant, theirs, more);
        } catch (PeerFailed e) {
            result.peerFailed(variant, Turns.words(e), null);
        }
    }

    /// The peer's failure is not ours: it ends one of its ways, not the row.
    private static final class PeerFailed extends Exception {
        private static final long serialVersionUID = 1;

        PeerFailed(IOException e) {
            super(Turns.words(e), e);
        }
    }

    private JsonNode askPeer(Map<String, Object> command) throws PeerFailed {
        try {
            return Objects.requireNonNull(peer).ask(command, turns.patience());
        } catch (IOException e) {
            throw new PeerFailed(e);
        }
    }

    private void finish() {
        Object disagreement = result.get("loss_disagrees");
        if (disagreement != null) {
            result.end(Result.REFUSED, "the losses do not agree: " + disagreement);
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
