import io.jacquard.data.tokenizer.ByteTokenizer;
import io.jacquard.io.DecoderFiles;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.KeyValueCache;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Schedule;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;

/// Trains a small GPT on a text file, lets it write, and saves it: `TrainFromJava TEXT DIRECTORY`.
public final class TrainFromJava {
    private static final int BATCH = 8;
    private static final int CONTEXT = 64;
    private static final int STEPS = 120;

    public static void main(String[] args) throws IOException {
        ByteTokenizer tokenizer = new ByteTokenizer();
        int[] text = tokenizer.encodeOrdinary(Files.readString(Path.of(args[0])));
        Random random = new Random(1);
        try (var _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Decoder model = Decoder.of(DecoderConfig.gpt2(tokenizer.vocabularySize(), CONTEXT, 2, 4, 64), weights);
            weights.allocate(DType.F32, DType.F32, 1337);
            AdamW optimizer = new AdamW(weights, AdamWSettings.DEFAULT);
            Schedule schedule = Schedule.cosine(3e-3f, 20, STEPS, 3e-4f);
            Tensor rate = Tensor.zeros(Shape.of(1), DType.F32);
            Tensor scale = Tensor.of(Shape.of(1), 1f / (BATCH * CONTEXT)); // makes the loss a mean over the tokens
            for (int step = 0; step < STEPS; step++) {
                int[] tokens = new int[BATCH * CONTEXT];
                int[] labels = new int[BATCH * CONTEXT];
                for (int row = 0; row < BATCH; row++) {
                    int from = random.nextInt(text.length - CONTEXT);
                    System.arraycopy(text, from, tokens, row * CONTEXT, CONTEXT);
                    System.arraycopy(text, from + 1, labels, row * CONTEXT, CONTEXT); // the token that follows
                }
                rate.copyFrom(new float[] {schedule.at(step)});
                try (var _ = Scope.open("step")) { // what is allocated in here is freed at its end
                    Tensor x = Tensor.of(Shape.of(BATCH, CONTEXT), tokens);
                    Tensor y = Tensor.of(Shape.of(BATCH, CONTEXT), labels);
                    Tensor loss = model.loss(x, y, scale, Pass.PLAIN); // PLAIN: no dropout
                    loss.backward();
                    optimizer.step(rate);
                    if (step % 20 == 0 || step == STEPS - 1) {
                        System.out.printf("step %d, loss %.3f%n", step, loss.item());
                    }
                }
            }
            System.out.println(tokenizer.decode(continued(model, Arrays.copyOf(text, 16), 48)));
            DecoderFiles.save(model, tokenizer.endOfText().orElse(-1), Files.createDirectories(Path.of(args[1])));
        }
    }

    /// `prompt` and `count` more tokens, each the most likely one. Both together fit the context.
    private static int[] continued(Decoder model, int[] prompt, int count) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + count);
        try (var _ = Scope.openWithoutGrad("generate")) {
            KeyValueCache cache = model.cache(); // so that a token costs one position, not all
            Tensor unseen = Tensor.of(Shape.of(1, prompt.length), prompt);
            for (int i = prompt.length; i < ids.length; i++) {
                float[] logits = model.next(unseen, cache).toFloats();
                for (int j = 1; j < logits.length; j++) {
                    ids[i] = logits[j] > logits[ids[i]] ? j : ids[i];
                }
                unseen = Tensor.of(Shape.of(1, 1), ids[i]);
            }
        }
        return ids;
    }
}
