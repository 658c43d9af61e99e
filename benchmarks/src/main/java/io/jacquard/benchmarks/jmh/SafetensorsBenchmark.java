package io.jacquard.benchmarks.jmh;

import io.jacquard.io.Safetensors;
import io.jacquard.io.SafetensorsEntry;
import io.jacquard.io.SafetensorsType;
import io.jacquard.io.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Writing a safetensors file of several tensors, synced and renamed, and reading it into memory; beside it what any
/// writer needs: the same bytes through a channel, synced.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
@SuppressWarnings("NullAway.Init") // by JMH's calls of setup methods
public class SafetensorsBenchmark {
    private static final int TENSORS = 16;

    @Param({"16", "128"})
    private int mebibytes;

    private MemorySegment data;
    private MemorySegment target;
    private Path file;
    private Path plain;

    @Setup
    public void allocate() throws IOException {
        data = Arena.global().allocate((long) mebibytes << 20, 64); // until the fork ends
        target = Arena.global().allocate(data.byteSize(), 64);
        ByteBuffer bytes = data.asByteBuffer();
        SplittableRandom random = new SplittableRandom(1);
        while (bytes.hasRemaining()) {
            bytes.putLong(random.nextLong());
        }
        Path directory = Files.createTempDirectory("safetensors");
        file = directory.resolve("model.safetensors");
        plain = directory.resolve("plain");
        write();
        writePlain();
        read();
        if (target.mismatch(data) >= 0) {
            throw new IllegalStateException("what was read is not what was written");
        }
    }

    @Benchmark
    public void write() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        long size = data.byteSize() / TENSORS;
        for (int i = 0; i < TENSORS; i++) {
            writer.add(
                    "weight." + (char) ('a' + i), SafetensorsType.F32, List.of(size / 4), data.asSlice(i * size, size));
        }
        writer.write(file);
    }

    @Benchmark
    public void writePlain() throws IOException {
        try (FileChannel channel = FileChannel.open(
                plain, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer bytes = data.asByteBuffer();
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
    }

    @Benchmark
    public void read() throws IOException {
        try (Safetensors tensors = Safetensors.open(file)) {
            for (SafetensorsEntry t : tensors.tensors()) {
                target.asSlice(t.begin(), t.bytes()).copyFrom(tensors.data(t.name()));
            }
        }
    }

    @TearDown
    public void delete() throws IOException {
        Files.delete(file);
        Files.delete(plain);
        Files.delete(file.getParent());
    }
}
