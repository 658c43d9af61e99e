package io.jacquard.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import javax.management.JMException;
import org.junit.jupiter.api.Test;

/// Which loops C2 compiles by themselves. What comes of it is seen in the benchmarks: `LaunchesTest`.
final class LoopsTest {
    @Test
    void theDirectiveNamesLoopsAlone() {
        String directive = Loops.directive();
        for (String loop : new String[] {"Convert.narrowBf16", "Activations.swiGluGrad", "FloatMath.expSum"}) {
            assertTrue(directive.contains("\"-io/jacquard/cpu/" + loop + "\""), directive);
        }
        for (String other : new String[] {"storeBf16", "FloatMath.exp\"", "bf16ToFloat", "Copies.run\""}) {
            assertFalse(directive.contains(other), other + ": " + directive);
        }
    }

    @Test
    void theVirtualMachineTakesIt() throws IOException, JMException {
        assertEquals("1 compiler directives added", Loops.add().strip());
    }
}
