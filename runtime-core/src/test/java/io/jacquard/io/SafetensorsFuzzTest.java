package io.jacquard.io;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Tag;

/// Runs its seeds as a plain test, and for long with `JAZZER_FUZZ=1`.
@Tag("fuzz")
final class SafetensorsFuzzTest {
    @FuzzTest(maxDuration = "1m")
    void file(byte[] bytes) {
        SafetensorsHostileTest.readOrRefuse(bytes);
    }

    @FuzzTest(maxDuration = "1m")
    void header(byte[] json) {
        ByteBuffer file = ByteBuffer.allocate(8 + json.length + 16).order(ByteOrder.LITTLE_ENDIAN);
        SafetensorsHostileTest.readOrRefuse(file.putLong(json.length).put(json).array());
    }
}
