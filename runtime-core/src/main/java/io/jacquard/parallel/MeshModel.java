package io.jacquard.parallel;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Partition;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Precision;
import io.jacquard.nn.Slice;
import io.jacquard.nn.Weights;
import io.jacquard.ops.DelayedScales;
import io.jacquard.optim.Shards;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// One model on the ranks of a mesh: what this rank holds of it, and where its memory is.
///
/// A step on it: [Shards#begin], [Pipeline#run] of its [#stages], and the optimizer's step.
///
/// @param mesh the ranks
/// @param decoder this rank's part
/// @param shards the memory of its weights
/// @param dtype of weights and activations
public record MeshModel(Mesh mesh, Decoder decoder, Shards shards, DType dtype) {
    /// How the weights are held.
    ///
    /// @param chunks parts of the model that each stage of the pipeline holds
    /// @param shards stage of ZeRO, and whether sums of gradients begin during backward
    /// @param values dtype of the weights
    /// @param gradients dtype of their gradients
    /// @param precision that of the products in linear layers
    public record Plan(int chunks, Shards.Plan shards, DType values, DType gradients, Precision precision) {
        /// Products as their operands are.
        public Plan(int chunks, Shards.Plan shards, DType values, DType gradients) {
            this(chunks, shards, values, gradients, Precision.DTYPE);
        }
    }

    /// Declares this rank's part of the model and gives it memory in the current scope. All ranks must call.
    ///
    /// @throws IllegalArgumentException if there are more parts than the model can be divided into
    public static MeshModel of(DecoderConfig config, Mesh mesh, Plan plan, long seed) {
        Weights weights = new Weights(mesh.data().size(), plan.precision);
        Decoder decoder = Decoder.of(config, weights, partition(config, mesh, plan.chunks));
        var ranks = new Shards.Ranks(mesh.data(), mesh.world());
        Shards shards = Shards.allocate(weights, ranks, plan.shards, plan.values, plan.gradients, seed);
        DelayedScales delayed = weights.delayedScales();
        if (delayed != null) {
            delayed.allocate(List.of(mesh.tensor(), mesh.data()));
        }
        return new MeshModel(mesh, decoder, shards, plan.values);
    }

    /// Virtual stage s is chunk `s / stages` of rank `s % stages`: a micro-batch passes all ranks, chunk by chunk.
    private static Partition partition(DecoderConfig config, Mesh mesh, int chunks) {
        int stages = mesh.pipeline().size();
        int rank = mesh.pipeline().rank();
        int virtual = stages * chunks;
        if (chunks > 1 && stages == 1) {
            throw new IllegalArgumentException("pipeline: " + chunks
                    + " chunks of one stage have nothing to take turns with; expected 1, or more stages");
        }
        if (virtual > config.layers()) {
            throw new IllegalArgumentException("pipeline: " + config.layers() + " blocks cannot be divided into "
                    + stages + " stages * " + chunks + " chunks = " + virtual + " parts; expected at most "
                    + config.layers());
        }
        List<Slice.Range> mine = new ArrayList<>();
        for (int s = rank; s < virtual; s += stages) {
            long layers = config.layers();
            mine.add(new Slice.Range((int) (layers * s / virtual), (int) (layers * (s + 1) / virtual)));
        }
        Group ends = config.tied() ? mesh.ends() : new SoloGroup();
        return new Partition(mesh.tensor(), mine, rank == 0, rank == stages - 1, ends);
    }

    /// How many trainable numbers a model has on all ranks together.
    public static long parameters(DecoderConfig config) {
        Weights weights = new Weights();
        Decoder.of(config, weights);
        return weights.count();
    }

    /// Whether this rank's losses are those of its replica, which other ranks of it know, too.
    boolean reports() {
        return decoder.partition().last() && mesh.tensor().rank() == 0;
    }

    /// This rank's stages of a step that reads `inputs`.
    public List<Stage> stages(StepInputs inputs) {
        List<Stage> stages = new ArrayList<>();
        for (Slice.Range blocks : decoder.partition().chunks()) {
            stages.add(new DecoderStage(this, blocks, inputs));
        }
        return stages;
    }

    /// The loss of each token, F32 `[B*T]`, on all ranks; without a gradient. All ranks of a replica must call.
    ///
    /// @param tokens I32 `[B, T]`
    /// @param labels I32 `[B, T]`
    public Tensor tokenLosses(Tensor tokens, Tensor labels) {
        Group pipeline = mesh.pipeline();
        int ranks = pipeline.size();
        List<Slice.Range> chunks = decoder.partition().chunks();
        Shape shape = tokens.shape();
        Tensor losses = Tensor.zeros(Shape.of(Math.toIntExact(tokens.size())), DType.F32);
        for (int c = 0; c < chunks.size(); c++) {
            Slice.Range blocks = chunks.get(c);
            Tensor x = blocks.from() == 0 ? decoder.embed(tokens, Pass.PLAIN) : null;
            if (x == null) {
                x = Tensor.empty(decoder.streamShape(shape), dtype);
                pipeline.receive(x, Math.floorMod(pipeline.rank() - 1, ranks)).join();
            }
            Tensor y = decoder.blocks(x, shape, blocks.from(), blocks.to(), Pass.PLAIN);
            if (blocks.to() < decoder.config().layers()) {
                pipeline.send(y, (pipeline.rank() + 1) % ranks).join();
            } else {
                Tensor here = decoder.tokenLossesOf(decoder.finish(y, shape), labels);
                losses.kernels().cast(losses, here);
            }
        }
        pipeline.broadcast(losses, ranks - 1).join();
        return losses;
    }
}
