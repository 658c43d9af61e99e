package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.peers.Nd4jLayers.Node;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;

/// Layers as nodes of a SameDiff graph.
final class Nd4jLayers implements Layers<Node> {
    private final SameDiff graph;

    /// A variable of the graph, and the shape that it will have.
    record Node(SDVariable variable, long... dims) {
        long dim(int fromEnd) {
            return dims[dims.length - fromEnd];
        }

        long rows() {
            return Arrays.stream(dims).reduce(1, Math::multiplyExact) / dim(1);
        }
    }

    Nd4jLayers(SameDiff graph) {
        this.graph = graph;
    }

    private static Node like(Node x, SDVariable variable) {
        return new Node(variable, x.dims);
    }

    private static long[] with(Node x, int fromEnd, long size) {
        long[] dims = x.dims.clone();
        dims[dims.length - fromEnd] = size;
        return dims;
    }

    private Node flat(Node x) {
        return x.dims.length == 2 ? x : reshape(x, x.rows(), x.dim(1));
    }

    @Override
    public Node linear(Node x, Node weight, @Nullable Node bias) {
        SDVariable product = graph.mmul(flat(x).variable, weight.variable, false, true, false);
        Node out = new Node(bias == null ? product : product.add(bias.variable), x.rows(), weight.dims[0]);
        return x.dims.length == 2 ? out : reshape(out, with(x, 1, weight.dims[0]));
    }

    @Override
    public Node add(Node a, Node b) {
        return like(a, a.variable.add(b.variable));
    }

    @Override
    public Node layerNorm(Node x, Node weight, Node bias) {
        SDVariable normed = graph.nn().layerNorm(flat(x).variable, weight.variable, bias.variable, false, 1);
        return reshape(new Node(normed, x.rows(), x.dim(1)), x.dims);
    }

    @Override
    public Node rmsNorm(Node x, Node weight) {
        SDVariable square = graph.math().square(x.variable).mean(true, x.dims.length - 1);
        return like(
                x,
                x.variable.div(graph.math().sqrt(square.add(NormRow.EPSILON))).mul(weight.variable));
    }

    /// `x sigmoid(1.702 x)`: SameDiff's `preciseGelu` is neither GPT-2's, as it cubes the factor too, nor faster.
    @Override
    public Node gelu(Node x) {
        return like(x, graph.nn().gelu(x.variable));
    }

    @Override
    public Node swiglu(Node x) {
        int last = x.dims.length - 1;
        long half = x.dim(1) / 2;
        Node gate = narrow(x, last, 0, half);
        return like(gate, graph.nn().swish(gate.variable).mul(narrow(x, last, half, half).variable));
    }

    /// A product with one-hot rows: the gradient of SameDiff's `gather` copies row after row in a loop, and keeps
    /// only the last of an id that occurs more than once.
    @Override
    public Node embedding(Node table, Node ids) {
        SDVariable rows = graph.mmul(oneHot(ids, table.dims[0]), table.variable);
        return new Node(rows, ids.dims[0], table.dim(1));
    }

    private SDVariable oneHot(Node ids, long limit) {
        return graph.oneHot(ids.variable, (int) limit, -1, 1, 0, DataType.FLOAT);
    }

    @Override
    public Node attention(Node query, Node key, Node value) {
        long heads = query.dims[1];
        long kvHeads = key.dims[1];
        int time = (int) query.dims[2];
        int rows = (int) (heads / kvHeads * time);
        Node grouped = reshape(query, query.dims[0], kvHeads, rows, query.dim(1));
        SDVariable scores = graph.mmul(grouped.variable, key.variable, false, true, false)
                .mul(1 / Math.sqrt((double) query.dim(1)))
                .add(mask(rows, time));
        SDVariable p = graph.nn().softmax(scores, 3);
        return reshape(like(grouped, graph.mmul(p, value.variable)), query.dims);
    }

    private SDVariable mask(int rows, int time) {
        SDVariable known = graph.getVariable("mask");
        return known != null
                ? known
                : graph.constant(
                        "mask",
                        Nd4j.create(Nd4jOps.causalMask(rows, time), new long[] {1, 1, rows, time}, DataType.FLOAT));
    }

    @Override
    public Node rotate(Node x, Node cos, Node sin) {
        int last = x.dims.length - 1;
        long half = x.dim(1) / 2;
        SDVariable turned =
                graph.concat(last, narrow(x, last, half, half).variable.neg(), narrow(x, last, 0, half).variable);
        return like(x, x.variable.mul(cos.variable).add(turned.mul(sin.variable)));
    }

    /// Of one-hot labels: the gradient of SameDiff's sparse loss leaves out what the loss is multiplied with.
    @Override
    public Node loss(Node logits, Node labels) {
        return new Node(graph.loss().softmaxCrossEntropy(oneHot(labels, logits.dim(1)), logits.variable, null));
    }

    @Override
    public Node narrow(Node x, int dim, long from, long count) {
        int[] begin = new int[x.dims.length];
        int[] size = Arrays.stream(x.dims).mapToInt(Math::toIntExact).toArray();
        begin[dim] = (int) from;
        size[dim] = (int) count;
        return new Node(graph.slice(x.variable, begin, size), with(x, x.dims.length - dim, count));
    }

    @Override
    public Node reshape(Node x, long... dims) {
        return new Node(graph.reshape(x.variable, dims), dims);
    }

    @Override
    public Node swap(Node x, int dim, int other) {
        int[] order = IntStream.range(0, x.dims.length)
                .map(i -> i == dim ? other : i == other ? dim : i)
                .toArray();
        long[] dims = Arrays.stream(order).mapToLong(i -> x.dims[i]).toArray();
        return new Node(graph.permute(x.variable, order), dims);
    }
}
