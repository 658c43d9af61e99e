package io.jacquard.train;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/// How the next token is chosen from the logits.
///
/// @param temperature divides the logits; 0 takes the likeliest token
/// @param topK choose among this many likeliest tokens; 0 for all
/// @param topP choose among the likeliest tokens whose probabilities just reach this sum; 1 for all
public record Sampling(float temperature, int topK, float topP) {
    /// Checks the ranges.
    public Sampling {
        if (!(temperature >= 0) || topK < 0 || !(topP > 0 && topP <= 1)) {
            throw new IllegalArgumentException("sampling: temperature=" + temperature + ", topK=" + topK + ", topP="
                    + topP + "; expected temperature >= 0, topK >= 0, 0 < topP <= 1");
        }
    }

    /// The chosen index. Ties go to the lower index.
    int choose(float[] logits, RandomGenerator random) {
        int[] order = likeliestFirst(logits);
        if (temperature == 0 || topK == 1) {
            return order[0];
        }
        int n = topK == 0 ? order.length : Math.min(topK, order.length);
        double[] weight = new double[n];
        double sum = 0;
        for (int i = 0; i < n; i++) {
            weight[i] = Math.exp((logits[order[i]] - logits[order[0]]) / (double) temperature);
            sum += weight[i];
        }
        double kept = 0;
        int last = 0;
        while (last < n && (last == 0 || kept < topP * sum)) {
            kept += weight[last++];
        }
        double at = random.nextDouble() * kept;
        for (int i = 0; i < last; i++) {
            at -= weight[i];
            if (at < 0) {
                return order[i];
            }
        }
        return order[last - 1];
    }

    /// Indices by falling logit; ties by rising index, NaN last. Sorts numbers that hold both: nothing is boxed.
    static int[] likeliestFirst(float[] logits) {
        int n = logits.length;
        long[] keys = new long[n];
        for (int i = 0; i < n; i++) {
            int bits = Float.floatToIntBits(logits[i]);
            int rising = Float.isNaN(logits[i]) ? Integer.MIN_VALUE : bits ^ (bits >> 31 & Integer.MAX_VALUE);
            keys[i] = (long) rising << 32 | n - 1 - i;
        }
        Arrays.sort(keys);
        int[] order = new int[n];
        for (int i = 0; i < n; i++) {
            order[i] = n - 1 - (int) keys[n - 1 - i];
        }
        return order;
    }
}
