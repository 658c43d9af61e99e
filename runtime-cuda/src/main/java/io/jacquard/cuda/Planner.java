package io.jacquard.cuda;

/// Plans how products of an `[m, k]` and a `[k, n]` matrix run. What else decides is a number, `kind`.
interface Planner<P> {
    P plan(int m, int n, int k, int kind);
}
