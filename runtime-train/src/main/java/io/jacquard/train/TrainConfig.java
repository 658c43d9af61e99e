package io.jacquard.train;

import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import java.nio.file.Path;

/// Everything a training run can be told, with a default for each key. Read by [ConfigReader], written by
/// [ConfigWriter]; the list of keys in `docs/configuration.md` is generated from here.
public record TrainConfig(
        @Key(means = "The model") Model model,
        @Key(means = "The data") Data data,
        @Key(means = "The training loop") Training training,
        @Key(means = "The optimizer and its learning rate") Optimizer optimizer,
        @Key(means = "How ranks share the work") Parallel parallel,
        @Key(means = "Validation during training") Evaluation evaluation,
        @Key(means = "Text written during training") Samples samples,
        @Key(means = "Saved states") Checkpoints checkpoints,
        @Key(means = "Energy and what it stands for") Energy energy,

        @Key(value = "runs/default", means = "Directory that receives everything the run writes")
        Path run,

        @Key(value = "cpu", means = "Device to train on, such as `cpu` or `cuda:0`")
        String device) {

    /// The kinds of model.
    public enum ModelType {
        GPT2,
        LLAMA
    }

    /// The optimizers.
    public enum OptimizerType {
        ADAMW,
        SGD
    }

    /// The shapes of the learning rate over the run.
    public enum ScheduleType {
        COSINE,
        LINEAR,
        WSD,
        CONSTANT
    }

    /// The orders in which the stages of a pipeline take micro-batches.
    public enum PipelineSchedule {
        GPIPE,
        _1F1B,
        ZERO_BUBBLE
    }

    /// Floating-point types of weights and gradients.
    public enum Precision {
        F32,
        BF16;

        /// The tensor's element type.
        public DType dtype() {
            return this == F32 ? DType.F32 : DType.BF16;
        }
    }

    /// The group `model`.
    public record Model(
            @Key(
                    value = "gpt2",
                    means = "Architecture: `gpt2` (learned positions, LayerNorm, GELU) or `llama`"
                            + " (RoPE, RMSNorm, SwiGLU)")
            ModelType type,

            @Key(value = "6", least = 1, means = "Transformer blocks")
            int layers,

            @Key(value = "6", least = 1, means = "Attention heads")
            int heads,

            @Key(value = "0", least = 0, means = "Key/value heads of `llama`; 0 for as many as `heads`")
            int kvHeads,

            @Key(value = "384", least = 1, means = "Width of the residual stream; a multiple of `heads`")
            int width,

            @Key(
                    value = "0",
                    least = 0,
                    means = "Width inside the feed-forward layer; 0 for 4 x `width` (`gpt2`) or"
                            + " 8/3 x `width` rounded up to a multiple of 32 (`llama`)")
            int hidden,

            @Key(value = "256", least = 1, means = "Tokens of a sequence")
            int context,

            @Key(value = "0.0", least = 0, most = 0.999, means = "Share of activations dropped while training")
            float dropout,

            @Key(value = "true", means = "The output layer shares the weights of the token embedding")
            boolean tied) {

        /// `kvHeads` with its default filled in.
        public int effectiveKvHeads() {
            return kvHeads == 0 ? heads : kvHeads;
        }

        /// `hidden` with its default filled in.
        public int effectiveHidden() {
            if (hidden != 0) {
                return hidden;
            }
            return type == ModelType.GPT2 ? 4 * width : Math.ceilDiv(8 * width, 3 * 32) * 32;
        }
    }

    /// The group `data`.
    public record Data(
            @Key(value = "data", means = "Directory of token shards, written by `jacquard prepare`")
            Path directory,

            @Key(value = "", means = "The tokenizer's `tokenizer.json`; empty for the one in `directory`")
            String tokenizer) {}

    /// The group `training`.
    public record Training(
            @Key(value = "5000", least = 1, means = "Optimizer steps of the whole run")
            long steps,

            @Key(
                    value = "0",
                    least = 0,
                    means = "Minutes after which the run stops as if its steps were done; 0 for" + " no limit")
            double minutes,

            @Key(value = "8", least = 1, means = "Sequences computed at once")
            int microBatch,

            @Key(
                    value = "1",
                    least = 1,
                    means = "Micro-batches whose gradients add up to one optimizer step, on all ranks together")
            int accumulation,

            @Key(value = "1337", means = "Seed of weights, order of the data and dropout")
            long seed,

            @Key(value = "f32", means = "Type of weights and activations: `f32` or `bf16`")
            Precision dtype,

            @Key(
                    value = "dtype",
                    without = "int4-group",
                    means = "How linear layers of blocks multiply: `dtype`, as their operands are, or rounded to"
                            + " low precision: `fp8-delayed`, `fp8-current`, `fp8-rowwise`, `fp8-block`, `int8` or"
                            + " `int4-qat`; see precision.md")
            Recipe precision,

            @Key(
                    value = "0",
                    least = 0,
                    means = "Blocks at each end of the model that multiply as their operands are, whatever"
                            + " `precision` says")
            int precisionEnds,

            @Key(
                    value = "50",
                    least = 0,
                    means =
                            "Where `precision` is low: first steps that are made in `dtype`, too, before the run, so that"
                                    + " their losses show the gap; 0 for none")
            int gapSteps,

            @Key(value = "f32", means = "Type that gradients accumulate in: `f32` or `bf16`")
            Precision gradientDtype,

            @Key(
                    value = "false",
                    means = "Compute each block's activations again in the backward pass: less memory," + " more time")
            boolean recompute,

            @Key(
                    value = "false",
                    means = "Record the step once and replay it: less work for the host, not for" + " the device")
            boolean graph,

            @Key(
                    value = "5",
                    least = 1,
                    means = "Steps in a row with a non-finite loss or gradient after which the" + " run stops")
            int nonFiniteLimit) {}

    /// The group `optimizer`.
    public record Optimizer(
            @Key(value = "adamw", means = "`adamw` or `sgd` (with `beta1` as its momentum)")
            OptimizerType type,

            @Key(value = "0.001", least = 0, means = "Peak learning rate")
            float learningRate,

            @Key(
                    value = "cosine",
                    means = "Learning rate after the warm-up: `cosine` or `linear` down to the floor,"
                            + " `wsd` (flat, then linear down), `constant`")
            ScheduleType schedule,

            @Key(value = "100", least = 0, means = "Steps in which the learning rate rises from 0 to its peak")
            long warmup,

            @Key(value = "0.1", least = 0, most = 1, means = "Last learning rate as a share of the peak")
            float floor,

            @Key(value = "0", least = 0, means = "Steps of the final fall of `wsd`; 0 for a fifth of all steps")
            long decay,

            @Key(value = "0.9", least = 0, most = 0.999999, means = "Decay of the gradient's running mean")
            float beta1,

            @Key(value = "0.99", least = 0, most = 0.999999, means = "Decay of the squared gradient's running mean")
            float beta2,

            @Key(value = "1e-8", least = 0, means = "Added to the divisor of Adam")
            float epsilon,

            @Key(value = "0.1", least = 0, means = "Decoupled weight decay of matrices")
            float weightDecay,

            @Key(value = "1.0", least = 0, means = "Largest norm of the whole gradient; 0 for no clipping")
            float clip,

            @Key(
                    value = "f32",
                    means = "Type of the optimizer's state: `f32`, or, with `training.dtype` `bf16`, `bf16`: rounded"
                            + " stochastically, and without an f32 copy of the weights; see precision.md")
            Precision stateDtype) {}

    /// The group `parallel`.
    public record Parallel(
            @Key(
                    value = "0",
                    least = 0,
                    means = "Replicas of the model, among which a step's micro-batches (or the sequences of each)"
                            + " are divided; 0 for as many as the ranks allow")
            int data,

            @Key(value = "1", least = 1, means = "Ranks that divide each layer")
            int tensor,

            @Key(value = "1", least = 1, means = "Ranks that divide the layers: the stages of a pipeline")
            int pipeline,

            @Key(
                    value = "1",
                    least = 1,
                    most = 3,
                    means = "Stage of ZeRO: replicas divide the optimizer's state (1), the gradients, too (2), the"
                            + " weights, too (3)")
            int zero,

            @Key(
                    value = "1f1b",
                    means = "Order of micro-batches in a pipeline: `gpipe`, `1f1b`, `zero-bubble`; see pipeline.md")
            PipelineSchedule schedule,

            @Key(
                    value = "1",
                    least = 1,
                    means = "Parts of the model on each stage of a pipeline: more make `1f1b` an interleaved one")
            int chunks,

            @Key(
                    value = "8",
                    least = 0,
                    means = "Minutes that ranks wait for one that answers, but does something else, such as writing a"
                            + " state on a slow disk; see failures.md")
            double patience) {}

    /// The group `evaluation`.
    public record Evaluation(
            @Key(value = "250", least = 0, means = "Steps between validations; 0 for none but the last")
            long every,

            @Key(
                    value = "64",
                    least = 1,
                    means = "Sequences of the validation set to score; the same ones each time,"
                            + " and the same score for every `batch`")
            int sequences,

            @Key(value = "8", least = 1, means = "Sequences scored at once")
            int batch) {}

    /// The group `samples`.
    public record Samples(
            @Key(value = "0", least = 0, means = "Steps between samples; 0 for none")
            long every,

            @Key(value = "", means = "Text that samples continue; empty to begin a document")
            String prompt,

            @Key(value = "100", least = 1, means = "Tokens of a sample")
            int tokens,

            @Key(value = "0.8", least = 0, means = "Randomness: 0 always takes the likeliest token")
            float temperature,

            @Key(value = "40", least = 0, means = "Choose among this many likeliest tokens; 0 for all")
            int topK) {}

    /// The group `checkpoints`.
    public record Checkpoints(
            @Key(value = "500", least = 0, means = "Steps between saved states; 0 for the last one only")
            long every,

            @Key(value = "3", least = 1, means = "Saved states to keep")
            int keep) {}

    /// The group `energy`.
    public record Energy(
            @Key(
                    value = "445",
                    least = 0,
                    means = "Grams of CO2 for each kilowatt-hour; the default is the world's mean of 2024 (IEA,"
                            + " Electricity 2025)")
            double gridIntensity) {}

    /// Tokens that one optimizer step reads.
    public long tokensPerStep() {
        return (long) training.microBatch * training.accumulation * model.context;
    }

    /// A configuration of nothing but defaults.
    public static TrainConfig defaults() {
        return new ConfigReader().read();
    }
}
