package io.jacquard.benchmarks.jmh;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import io.jacquard.data.tokenizer.BpeTrainer;
import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.train.QuickstartText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Encodes a megabyte of the JDK's sources on one thread: our byte-pair encoding, and that of Hugging Face's library
/// (Rust, through DJL's JNI) from the same `tokenizer.json`. The ids are compared before the first time.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
@SuppressWarnings("NullAway.Init") // by JMH's calls of setup methods
public class TokenizerBenchmark {
    private static final int CHARACTERS = 1 << 20;

    @Param({"jacquard", "hugging face"})
    private String contender = "";

    @Param("8192")
    private int vocabulary;

    private List<String> texts;
    private HuggingFaceTokenizer theirs;
    private ToIntFunction<String> encode;

    @Setup
    public void open() throws IOException {
        Path directory = Files.createTempDirectory("tokenizer");
        texts = texts(QuickstartText.find(directory.resolve("text")));
        Tokenizer ours = BpeTrainer.ofVocabularySize(vocabulary).train(texts);
        Path file = directory.resolve("tokenizer.json");
        ours.save(file);
        System.setProperty("ai.djl.offline", "true");
        theirs = HuggingFaceTokenizer.newInstance(
                file, Map.of("truncation", "do_not_truncate", "addSpecialTokens", "false"));
        for (String text : texts) {
            long[] ids = theirs.encode(text, false, false).getIds();
            if (!Arrays.equals(Arrays.stream(ours.encode(text)).asLongStream().toArray(), ids)) {
                throw new IllegalStateException("ids differ on: " + text);
            }
        }
        encode = contender.equals("jacquard")
                ? text -> ours.encode(text).length
                : text -> theirs.encode(text, false, false).getIds().length;
    }

    private static List<String> texts(Path directory) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(directory)) {
            files = all.filter(f -> f.toString().endsWith(".java")).sorted().toList();
        }
        List<String> texts = new ArrayList<>();
        int characters = 0;
        for (Path file : files) {
            String text = Files.readString(file);
            texts.add(text);
            characters += text.length();
            if (characters >= CHARACTERS) {
                break;
            }
        }
        return texts;
    }

    /// @return tokens
    @Benchmark
    public int encode() {
        int tokens = 0;
        for (String text : texts) {
            tokens += encode.applyAsInt(text);
        }
        return tokens;
    }

    @TearDown
    public void close() {
        theirs.close();
    }
}
