package io.jacquard.benchmarks.peers;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// A peer that never writes its output.
record FakePeer(List<String> log) implements Peer {
    @Override
    public Map<String, Object> facts() {
        return Map.of();
    }

    @Override
    public Map<String, PeerKernel> kernels(KernelRow row) {
        return Map.of("unwritten", new Unwritten(row));
    }

    @Override
    public Map<String, Supplier<PeerSteps>> steps(StepRow row) {
        return Map.of();
    }

    private final class Unwritten implements PeerKernel {
        private final KernelRow row;

        Unwritten(KernelRow row) {
            this.row = row;
        }

        @Override
        public KernelRow row() {
            return row;
        }

        @Override
        public void reset() {}

        @Override
        public void run() {}

        @Override
        public List<Floats> outputs() {
            Floats x = ((MovingRow) row).x();
            float[] values = new float[x.values().length];
            Arrays.fill(values, Float.NaN);
            return List.of(new Floats(values, x.dims()));
        }

        @Override
        public void close() {
            log.add("closed");
        }
    }
}
