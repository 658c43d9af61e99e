package io.jacquard.cuda;

import org.jspecify.annotations.Nullable;

/// The plans of the shapes seen last: a plan costs some dozens of estimates, and a model has few shapes.
final class PlanCache<P> implements Planner<P> {
    private static final int SLOTS = 256;

    private record Entry<P>(int m, int n, int k, int kind, P plan) {}

    private final @Nullable Entry<P>[] entries = entries();
    private final Planner<P> planner;

    PlanCache(Planner<P> planner) {
        this.planner = planner;
    }

    @SuppressWarnings({"unchecked", "rawtypes"}) // arrays have no type parameters
    private static <P> @Nullable Entry<P>[] entries() {
        return new Entry[SLOTS];
    }

    @Override
    public P plan(int m, int n, int k, int kind) {
        int slot = Math.floorMod(((m * 31 + n) * 31 + k) * 31 + kind, SLOTS);
        Entry<P> e = entries[slot];
        if (e == null || e.m != m || e.n != n || e.k != k || e.kind != kind) {
            e = new Entry<>(m, n, k, kind, planner.plan(m, n, k, kind));
            entries[slot] = e;
        }
        return e.plan;
    }
}
