package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BpeTrainerTest {
    @TempDir
    Path directory;

    private static List<String> corpus() {
        Random random = new Random(2026);
        List<String> words = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            words.add(Texts.random(random, 2 + random.nextInt(8)).replace(Tokenizer.END_OF_TEXT, ""));
        }
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < 400; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = 0; n < 50; n++) {
                // Squared: few words are frequent, many are rare.
                double x = random.nextDouble();
                text.append(' ').append(words.get((int) (x * x * words.size())));
            }
            texts.add(text.toString());
        }
        return texts;
    }

    private static String merges(BytePairTokenizer tokenizer) {
        StringBuilder merges = new StringBuilder();
        int[] triples = tokenizer.model().merges();
        for (int i = 0; i < triples.length; i += 3) {
            merges.append(tokenizer.model().vocabulary()[triples[i]]).append(' ');
            merges.append(tokenizer.model().vocabulary()[triples[i + 1]]).append('\n');
        }
        return merges.toString();
    }

    @Test
    void learnsWhatHuggingFaceLearns() {
        // CRC-32 of the merges, "left right" a line, recorded from tokenizers 0.23.2 (Python) on the same texts:
        // BpeTrainer(vocab_size, min_frequency=2, special_tokens=["<|endoftext|>"],
        // initial_alphabet=ByteLevel.alphabet()). To be recorded again if Texts.random changes.
        Map<Integer, Long> recorded =
                Map.of(300, 365_950_613L, 600, 1_241_137_655L, 1500, 2_411_440_157L, 5000, 2_504_186_409L);
        for (Map.Entry<Integer, Long> entry : recorded.entrySet()) {
            String merges = merges(BpeTrainer.ofVocabularySize(entry.getKey()).train(corpus()));
            CRC32 crc = new CRC32();
            crc.update(merges.getBytes(StandardCharsets.UTF_8));
            assertEquals(entry.getValue(), crc.getValue(), "vocabulary of " + entry.getKey());
        }
    }

    @Test
    void equalsTheSlowDefinition() {
        List<String> texts = corpus().subList(0, 20);
        assertEquals(
                slowMerges(texts, 100),
                merges(BpeTrainer.ofVocabularySize(257 + 100).train(texts)));
    }

    /// Counts all pairs again after each merge.
    private static String slowMerges(List<String> texts, int merges) {
        List<String> vocabulary = new ArrayList<>(List.of(Tokenizer.END_OF_TEXT));
        ByteAlphabetTest.symbolsInOrder().forEach(vocabulary::add);
        List<List<Integer>> words = new ArrayList<>();
        for (String text : texts) {
            byte[] utf8 = Utf8.bytes(text);
            for (int at = 0; at < utf8.length; ) {
                int end = Gpt2Pieces.end(utf8, at, utf8.length);
                List<Integer> word = new ArrayList<>();
                for (; at < end; at++) {
                    word.add(vocabulary.indexOf(String.valueOf(ByteAlphabet.symbol(utf8[at] & 0xFF))));
                }
                words.add(word);
            }
        }
        StringBuilder learned = new StringBuilder();
        for (int n = 0; n < merges; n++) {
            Map<Long, Integer> counts = new HashMap<>();
            for (List<Integer> word : words) {
                for (int i = 0; i + 1 < word.size(); i++) {
                    counts.merge(PairMap.key(word.get(i), word.get(i + 1)), 1, Integer::sum);
                }
            }
            long best = Collections.min(
                            counts.entrySet(),
                            Map.Entry.<Long, Integer>comparingByValue()
                                    .reversed()
                                    .thenComparing(Map.Entry.comparingByKey()))
                    .getKey();
            int left = (int) (best >> 32);
            int right = (int) best;
            learned.append(vocabulary.get(left))
                    .append(' ')
                    .append(vocabulary.get(right))
                    .append('\n');
            vocabulary.add(vocabulary.get(left) + vocabulary.get(right));
            for (List<Integer> word : words) {
                for (int i = 0; i + 1 < word.size(); i++) {
                    if (word.get(i) == left && word.get(i + 1) == right) {
                        word.set(i, vocabulary.size() - 1);
                        word.remove(i + 1);
                    }
                }
            }
        }
        return learned.toString();
    }

    @Test
    void repeatsItself() throws IOException {
        List<String> texts = new ArrayList<>(corpus());
        Path first = directory.resolve("first.json");
        Path second = directory.resolve("second.json");
        BpeTrainer.ofVocabularySize(600).train(texts).save(first);
        Collections.shuffle(texts, new Random(1));
        BpeTrainer.ofVocabularySize(600).train(texts).save(second);
        assertEquals(Files.readString(first), Files.readString(second));
    }

    @Test
    void specialTokensComeFirstAndAreNotLearned() {
        BytePairTokenizer tokenizer = BpeTrainer.ofVocabularySize(300)
                .specialTokens("<|endoftext|>", "<|user|>")
                .train(List.of("hello<|user|>hello<|endoftext|>hello <|user|>".repeat(10)));
        assertEquals(Map.of("<|endoftext|>", 0, "<|user|>", 1), tokenizer.specialTokens());
        assertEquals(0, tokenizer.endOfText().orElseThrow());
        assertEquals(4, tokenizer.encode("hello<|user|>hello<|endoftext|>").length);
        assertEquals("e l\nh el\nl o\nhel lo\n", merges(tokenizer));
        assertEquals(2 + 256 + 4, tokenizer.vocabularySize());
    }

    @Test
    void stopsAtTheMinimumFrequency() {
        List<String> texts = List.of("ab ab ab cd cd");
        BpeTrainer trainer = BpeTrainer.ofVocabularySize(400);
        assertEquals("a b\nc d\nĠ ab\nĠ cd\n", merges(trainer.train(texts)));
        assertEquals("a b\n", merges(trainer.minFrequency(3).train(texts)));
        assertEquals("", merges(trainer.minFrequency(4).train(texts)));
        assertEquals("", merges(trainer.train(List.of())));
    }

    @Test
    void tellsItsProgress() {
        List<BpeTrainer.Progress> heard = new ArrayList<>();
        List<List<String>> many = Collections.nCopies(20, corpus());
        BpeTrainer.ofVocabularySize(600)
                .onProgress(heard::add)
                .train(many.stream().flatMap(List::stream).iterator());
        assertEquals("counting", heard.getFirst().doing());
        assertEquals(-1, heard.getFirst().total());
        assertTrue(heard.contains(new BpeTrainer.Progress("merging", 300, 600)));
        assertEquals(new BpeTrainer.Progress("merging", 600, 600), heard.getLast());
    }

    @Test
    void refusesWhatCannotBe() {
        assertEquals(
                "BpeTrainer: vocabulary size 200, expected 257 (256 bytes and 1 special tokens) to 4194304",
                assertThrows(IllegalArgumentException.class, () -> BpeTrainer.ofVocabularySize(200))
                        .getMessage());
        BpeTrainer trainer = BpeTrainer.ofVocabularySize(300);
        assertEquals(
                "special token '<a>' is empty, repeated or not Unicode, expected different texts",
                assertThrows(IllegalArgumentException.class, () -> trainer.specialTokens("<a>", "<a>"))
                        .getMessage());
        assertEquals(
                "BpeTrainer: special token '<é>' spells bytes in tokenizer.json, expected two or more ASCII"
                        + " characters",
                assertThrows(IllegalArgumentException.class, () -> trainer.specialTokens("<é>"))
                        .getMessage());
    }

    @Test
    void countsPiecesThroughGrowth() {
        PieceCounts pieces = new PieceCounts();
        for (int i = 0; i < 100_000; i++) {
            byte[] piece = String.valueOf(i % 30_000).getBytes(StandardCharsets.UTF_8);
            pieces.add(piece, 0, piece.length);
        }
        assertEquals(30_000, pieces.size());
        for (int i = 0; i < 30_000; i++) {
            byte[] piece = String.valueOf(i).getBytes(StandardCharsets.UTF_8);
            assertArrayEquals(piece, Arrays.copyOfRange(pieces.bytes(), pieces.start(i), pieces.end(i)));
            assertEquals(i < 10_000 ? 4 : 3, pieces.count(i));
        }
    }
}
