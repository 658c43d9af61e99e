package io.jacquard.benchmarks;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.jacquard.data.tokenizer.BpeTrainer;
import io.jacquard.data.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// Trains a tokenizer on a text file, then encodes the file with it and with Hugging Face's library (Rust, through
/// DJL's JNI), in turns and on one thread. Prints medians, and fails if an id differs.
///
///     TokenizerComparison corpus.txt [vocabulary size] [characters per text] [rounds]
///
/// `src/main/python/tokenizer_speed.py` times the Rust library from Python, without JNI in between.
public final class TokenizerComparison {
    private TokenizerComparison() {}

    @FunctionalInterface
    private interface Encoder {
        int[] encode(String text);
    }

    public static void main(String[] args) throws IOException {
        String corpus = Files.readString(Path.of(args[0]));
        int vocabularySize = args.length > 1 ? Integer.parseInt(args[1]) : 8192;
        int textLength = args.length > 2 ? Integer.parseInt(args[2]) : 4096;
        int rounds = args.length > 3 ? Integer.parseInt(args[3]) : 7;
        List<String> texts = split(corpus, textLength);
        double megabytes = corpus.getBytes(StandardCharsets.UTF_8).length / 1e6;

        long start = System.nanoTime();
        Tokenizer ours = BpeTrainer.ofVocabularySize(vocabularySize).train(texts);
        System.out.printf("%s, %.1f MB in %d texts%n", ours, megabytes, texts.size());
        System.out.printf("training: %.2f s%n", (System.nanoTime() - start) / 1e9);

        Path file = Files.createTempFile("tokenizer", ".json");
        ours.save(file);
        System.setProperty("ai.djl.offline", "true");
        try (HuggingFaceTokenizer theirs = HuggingFaceTokenizer.newInstance(
                file, Map.of("truncation", "do_not_truncate", "addSpecialTokens", "false"))) {
            compare(
                    texts,
                    megabytes,
                    rounds,
                    ours::encode,
                    text -> toInts(theirs.encode(text, false, false).getIds()));
        } finally {
            Files.delete(file);
        }
    }

    private static void compare(List<String> texts, double megabytes, int rounds, Encoder ours, Encoder theirs) {
        for (String text : texts) {
            if (!Arrays.equals(ours.encode(text), theirs.encode(text))) {
                throw new AssertionError("ids differ on: " + text);
            }
        }
        double[] ourSeconds = new double[rounds];
        double[] theirSeconds = new double[rounds];
        for (int round = 0; round < rounds; round++) {
            ourSeconds[round] = seconds(texts, ours);
            theirSeconds[round] = seconds(texts, theirs);
        }
        Arrays.sort(ourSeconds);
        Arrays.sort(theirSeconds);
        double our = ourSeconds[rounds / 2];
        double their = theirSeconds[rounds / 2];
        System.out.printf("encode, jacquard:     %7.1f ms  %7.1f MB/s%n", our * 1e3, megabytes / our);
        System.out.printf("encode, hugging face: %7.1f ms  %7.1f MB/s%n", their * 1e3, megabytes / their);
        System.out.printf("jacquard is %.1f times as fast (medians of %d)%n", their / our, rounds);
    }

    private static double seconds(List<String> texts, Encoder encoder) {
        long start = System.nanoTime();
        long ids = 0;
        for (String text : texts) {
            ids += encoder.encode(text).length;
        }
        if (ids == 0) {
            throw new AssertionError("no ids");
        }
        return (System.nanoTime() - start) / 1e9;
    }

    private static int[] toInts(long[] ids) {
        int[] ints = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            ints[i] = (int) ids[i];
        }
        return ints;
    }

    /// At line ends, so that no character is cut.
    private static List<String> split(String corpus, int textLength) {
        List<String> texts = new ArrayList<>();
        for (int from = 0; from < corpus.length(); ) {
            int end = corpus.indexOf('\n', Math.min(corpus.length(), from + textLength));
            end = end < 0 ? corpus.length() : end + 1;
            texts.add(corpus.substring(from, end));
            from = end;
        }
        return texts;
    }
}
