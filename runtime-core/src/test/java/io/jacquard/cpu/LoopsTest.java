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
    void theDirectiveHasLoopsApartAndFunctionsOfVectorsInside() {
        String directive = Loops.directive();
        for (String part : new String[] {
            "\"-io/jacquard/cpu/Convert.narrowBf16(JJI)V\"",
            "\"-io/jacquard/cpu/Activations.swiGluGrad(JJJJJI)V\"",
            "\"-io/jacquard/cpu/Activations.gelu(JJI)V\"",
            "\"+io/jacquard/cpu/FloatMath.exp(Ljdk/incubator/vector/FloatVector;)Ljdk/incubator/vector/FloatVector;\"",
            "\"+io/jacquard/cpu/Convert.storeBf16(Ljdk/incubator/vector/FloatVector;J)V\""
        }) {
            assertTrue(directive.contains(part), part + " is not in " + directive);
        }
        for (String other : new String[] {"bf16ToFloat", "Copies.run", "getFloat", "Mem.copy"}) {
            assertFalse(directive.contains(other), other + ": " + directive);
        }
    }

    @Test
    void theVirtualMachineTakesIt() throws IOException, JMException {
        assertEquals("1 compiler directives added", Loops.add().strip());
    }
}
