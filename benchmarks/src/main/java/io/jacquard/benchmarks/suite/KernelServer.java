package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Roofline;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// Our kernels behind the protocol of `torch_peer.py`: `prepare` a row, `check` it against doubles, `time` it, `free`
/// it; `roofline` says what the device does at best. Each row has a session of its own, which gives all memory back.
public final class KernelServer {
    private final String device;
    private @Nullable Session session;
    private @Nullable KernelCase row;
    private @Nullable Tensor flushed;

    private KernelServer(String device) {
        this.device = device;
    }

    public static void main(String[] args) throws IOException {
        Lines lines = new Lines();
        KernelServer server = new KernelServer(args[0]);
        try {
            lines.answer(server.ready());
        } catch (RuntimeException | LinkageError e) {
            lines.fail(e);
            return;
        }
        for (JsonNode command = lines.next(); command != null; command = lines.next()) {
            try {
                lines.answer(server.answer(command));
            } catch (RuntimeException | LinkageError e) {
                lines.fail(e);
            }
        }
        server.free();
    }

    private Map<String, Object> ready() {
        Map<String, Object> ready = new LinkedHashMap<>();
        ready.put("ready", true);
        try (Session s = Session.open(device)) {
            ready.put("device", s.backend().description());
            ready.put("memory_bytes", s.backend().memoryBytes());
        }
        ready.put("java", Runtime.version().toString());
        return ready;
    }

    private Map<String, Object> answer(JsonNode command) {
        return switch (command.get("do").asString()) {
            case "roofline" -> roofline(command);
            case "prepare" -> prepare(command.get("row"));
            case "check" -> check();
            case "time" -> time(command);
            case "free" -> {
                free();
                yield Map.of("freed", true);
            }
            default -> throw new IllegalArgumentException("unknown command " + command);
        };
    }

    private Map<String, Object> roofline(JsonNode command) {
        Roofline roofline = Roofline.of(device);
        Map<String, Object> rates = new LinkedHashMap<>();
        rates.put("gigabytes_per_second", roofline.gigabytesPerSecond());
        for (JsonNode dtype : command.get("dtypes")) {
            DType type = DType.valueOf(dtype.asString().toUpperCase(Locale.ROOT));
            rates.put("teraflops_" + dtype.asString(), roofline.teraflops(type));
        }
        return rates;
    }

    private Map<String, Object> prepare(JsonNode spec) {
        free();
        session = Session.open(device);
        KernelCase made = Cases.of(spec);
        row = made;
        long bytes = 0;
        long operations = 0;
        DType matrix = null;
        for (Consumer<Kernels> launch : made.launches()) {
            Work work = Work.of(launch);
            bytes += work.bytes();
            operations += work.operations();
            matrix = work.matrix() == null ? matrix : work.matrix();
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("bytes", bytes);
        answer.put("operations", operations);
        answer.put("matrix", matrix == null ? null : matrix.name().toLowerCase(Locale.ROOT));
        return answer;
    }

    private KernelCase prepared() {
        if (row == null) {
            throw new IllegalStateException("no row is prepared");
        }
        return row;
    }

    private static Backend backend() {
        return Session.current().backend();
    }

    private Map<String, Object> check() {
        KernelCase c = prepared();
        c.reset();
        c.launches().forEach(l -> l.accept(backend().kernels()));
        Deviation d = c.deviation();
        return Map.of("error_fp64", d.relative(), "compared", d.compared());
    }

    /// With `flush_bytes` each run is behind a write of that many bytes, so that caches hold nothing of the
    /// operands; without, `launches` runs are timed at once.
    private Map<String, Object> time(JsonNode command) {
        KernelCase c = prepared();
        Kernels kernels = backend().kernels();
        List<Consumer<Kernels>> launches = c.launches();
        int flush = command.get("flush_bytes").asInt();
        int runs = flush > 0 ? 1 : command.get("launches").asInt();
        List<Double> micros = new ArrayList<>();
        for (int i = 0; i < command.get("repetitions").asInt(); i++) {
            c.reset();
            if (flush > 0) {
                kernels.fill(flushBuffer(flush), i);
            }
            micros.add(backend().micros(() -> {
                        for (int r = 0; r < runs; r++) {
                            for (Consumer<Kernels> launch : launches) {
                                launch.accept(kernels);
                            }
                        }
                    })
                    / runs);
        }
        return Map.of("micros", micros);
    }

    private Tensor flushBuffer(int bytes) {
        Tensor t = flushed;
        if (t == null) {
            t = Tensor.empty(Shape.of(bytes / 4), DType.F32);
            flushed = t;
        }
        return t;
    }

    private void free() {
        row = null;
        flushed = null;
        if (session != null) {
            session.close();
            session = null;
        }
    }
}
