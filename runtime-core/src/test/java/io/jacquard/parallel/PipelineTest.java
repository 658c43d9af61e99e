package io.jacquard.parallel;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.parallel.CutModel.Features;
import io.jacquard.parallel.CutModel.Result;
import io.jacquard.tensor.Session;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Stages on several ranks train the model that one rank trains, bit for bit.
@Timeout(120)
final class PipelineTest {
    private static final int MICRO_BATCHES = 12;

    private static final Map<Features, Result> WHOLE = new ConcurrentHashMap<>();

    private static Result whole(Features f) {
        return WHOLE.computeIfAbsent(f, x -> {
            try (Session session = Session.open("cpu")) {
                return CutModel.whole(session, x, MICRO_BATCHES);
            }
        });
    }

    static Stream<Arguments> cases() {
        List<Arguments> list = new ArrayList<>();
        for (int ranks = 1; ranks <= 4; ranks++) {
            List<Schedule> schedules = List.of(
                    Schedule.gpipe(ranks, MICRO_BATCHES),
                    Schedule.oneForwardOneBackward(ranks, MICRO_BATCHES),
                    Schedule.interleaved(ranks, MICRO_BATCHES, ranks == 4 ? 1 : 2),
                    Schedule.zeroBubble(ranks, MICRO_BATCHES));
            for (Schedule s : schedules) {
                for (Features f : Features.all()) {
                    list.add(Arguments.of(s, f));
                }
            }
        }
        return list.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void trainsAsOneRank(Schedule schedule, Features f) {
        Result whole = whole(f.plain());
        LocalGroup.run(schedule.ranks(), Watch.of(Duration.ofSeconds(10)), g -> {
            try (Session session = Session.open("cpu")) {
                CutModel.train(session, g, f, schedule).assertSame(whole);
            }
        });
    }
}
