package io.jacquard.tensor;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;

/// Which kinds of node made a tensor: lets tests see what they cover.
public final class GraphNodes {
    private GraphNodes() {}

    public static Set<Class<?>> of(Tensor result) {
        Set<Class<?>> kinds = new HashSet<>();
        Deque<Tensor> open = new ArrayDeque<>();
        open.add(result);
        while (!open.isEmpty()) {
            Node node = open.remove().node();
            if (node != null) {
                kinds.add(node.getClass());
                open.addAll(node.inputs());
            }
        }
        return kinds;
    }
}
