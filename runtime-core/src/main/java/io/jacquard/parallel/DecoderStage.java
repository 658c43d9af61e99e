package io.jacquard.parallel;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Slice;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Consecutive blocks of a decoder, with its embedding where they are the first and its head where they are the last.
final class DecoderStage implements Stage {
    private final MeshModel model;
    private final Slice.Range blocks;
    private final StepInputs inputs;

    DecoderStage(MeshModel model, Slice.Range blocks, StepInputs inputs) {
        this.model = model;
        this.blocks = blocks;
        this.inputs = inputs;
    }

    @Override
    public Shape inputShape() {
        return model.decoder().streamShape(inputs.tokens(0).shape());
    }

    @Override
    public DType inputDType() {
        return model.dtype();
    }

    @Override
    public Tensor forward(@Nullable Tensor x, int microBatch) {
        Decoder decoder = model.decoder();
        Tensor tokens = inputs.tokens(microBatch);
        Pass pass = inputs.pass(microBatch);
        Tensor h = x == null ? decoder.embed(tokens, pass) : x;
        Tensor y = decoder.blocks(h, tokens.shape(), blocks.from(), blocks.to(), pass);
        if (blocks.to() < decoder.config().layers()) {
            return y;
        }
        Tensor loss = decoder.lossOf(decoder.finish(y, tokens.shape()), inputs.labels(microBatch), inputs.scale());
        if (model.reports()) {
            Tensor kept = inputs.loss(microBatch);
            kept.kernels().cast(kept, loss);
        }
        return loss;
    }

    @Override
    public void backwardDone(int microBatch) {
        model.shards().backwardDone();
    }
}
