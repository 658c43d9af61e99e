package io.jacquard.cuda;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.parallel.CutModel;
import io.jacquard.parallel.CutModel.Features;
import io.jacquard.parallel.CutModel.Result;
import io.jacquard.parallel.Schedule;
import io.jacquard.tensor.Session;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Stages on ranks that share one emulated GPU give the bits of one rank on it; that device finds reads of memory that
/// was freed too early.
final class CudaPipelineTest {
    private static final int MICRO_BATCHES = 4;

    static Stream<Arguments> cases() {
        Features plain = new Features(false, false, true, false);
        Features most = new Features(true, true, true, false);
        return Stream.of(
                // a graph of this device does not take in what threads do: only one rank records
                Arguments.of(Schedule.zeroBubble(1, MICRO_BATCHES), new Features(false, false, true, true)),
                Arguments.of(Schedule.gpipe(2, MICRO_BATCHES), most),
                Arguments.of(Schedule.oneForwardOneBackward(3, MICRO_BATCHES), plain),
                Arguments.of(Schedule.interleaved(2, MICRO_BATCHES, 2), plain),
                Arguments.of(Schedule.zeroBubble(3, MICRO_BATCHES), plain),
                Arguments.of(Schedule.zeroBubble(2, MICRO_BATCHES), most));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void trainsAsOneRank(Schedule schedule, Features f) {
        Result whole;
        try (Session session = EmulatedDevice.open(90)) {
            whole = CutModel.whole(session, f.plain(), MICRO_BATCHES);
        }
        LocalGroup.run(schedule.ranks(), Watch.of(Duration.ofMinutes(2)), g -> {
            try (Session session = EmulatedDevice.open(90)) {
                CutModel.train(session, g, f, schedule).assertSame(whole);
            }
        });
    }
}
