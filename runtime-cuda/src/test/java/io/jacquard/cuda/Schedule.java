package io.jacquard.cuda;

import io.jacquard.cuda.driver.Emulator;

/// Which thread the emulated device runs next, and when its asynchronous copies happen (docs/emulator.md). A right
/// kernel gives the same bits in all of them.
record Schedule(String order, String async, long seed) {
    /// As the emulator starts.
    static final Schedule PLAIN = new Schedule("forward", "late", 1);

    /// One for each of the three runs of a case, of which the second has an order that only the seed knows.
    static Schedule ofRun(int run, long seed) {
        return switch (run) {
            case 0 -> PLAIN;
            case 1 -> new Schedule("random", "early", seed);
            default -> new Schedule("reverse", "late", seed);
        };
    }

    void apply() {
        Emulator.configure("order", order);
        Emulator.configure("async", async);
        Emulator.configure("seed", Long.toString(seed));
    }

    @Override
    public String toString() {
        return "order=" + order + ", async=" + async + ", seed=" + seed;
    }
}
