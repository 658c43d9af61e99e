package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TokenizerReaderTest {
    private static final String WAY_OUT =
            "; export the tokenizer again as byte-level BPE, or train one with BpeTrainer";

    @TempDir
    Path directory;

    private Path file;
    private String good;

    @BeforeEach
    void save() throws IOException {
        file = directory.resolve("tokenizer.json");
        BpeTrainer.ofVocabularySize(259).train(List.of("hello hello")).save(file);
        good = Files.readString(file);
    }

    private void refused(String json, String complaint) throws IOException {
        Files.writeString(file, json);
        IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> Tokenizer.read(file));
        assertEquals(file + ":" + complaint + WAY_OUT, e.getMessage());
    }

    private void refused(String old, String changed, String complaint) throws IOException {
        assertEquals(2, (good + " ").split(Pattern.quote(old), -1).length, old);
        refused(good.replace(old, changed), complaint);
    }

    private Tokenizer accepted(String old, String changed) throws IOException {
        Files.writeString(file, good.replace(old, changed));
        return Tokenizer.read(file);
    }

    @Test
    void otherModelsAreRefusedByName() throws IOException {
        refused("\"BPE\"", "\"Unigram\"", " 'model.type' is 'Unigram', which is not supported, expected 'BPE'");
        refused("\"BPE\"", "\"WordPiece\"", " 'model.type' is 'WordPiece', which is not supported, expected 'BPE'");
    }

    @Test
    void otherPartsAreRefusedByName() throws IOException {
        refused(
                "\"normalizer\":null",
                "\"normalizer\":{\"type\":\"NFC\"}",
                " 'normalizer' is 'NFC', which is not supported, expected null");
        refused(
                "\"pre_tokenizer\":{\"type\":\"ByteLevel\"",
                "\"pre_tokenizer\":{\"type\":\"Metaspace\"",
                " 'pre_tokenizer' is 'Metaspace', which is not supported, expected 'ByteLevel'");
        refused(
                "\"decoder\":{\"type\":\"ByteLevel\"",
                "\"decoder\":{\"type\":\"WordPiece\"",
                " 'decoder' is 'WordPiece', which is not supported, expected 'ByteLevel'");
        refused(
                "\"post_processor\":null",
                "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[]}",
                " 'post_processor' is 'BertProcessing', which is not supported, expected 'ByteLevel'");
        refused(
                "\"truncation\":null",
                "\"truncation\":{\"max_length\":8}",
                " 'truncation' is an object, which is not supported, expected null");
        refused("\"padding\":null", "\"padding\":{}", " 'padding' is an object, which is not supported, expected null");
        refused("\"1.0\"", "\"2.0\"", " 'version' is '2.0', which is not supported, expected '1.0'");
        refused(
                "\"use_regex\":true}",
                "\"split\":1}",
                " 'pre_tokenizer.split' is not supported, expected it to be" + " absent",
                true);
    }

    private void refused(String old, String changed, String complaint, boolean first) throws IOException {
        int at = good.indexOf(old);
        refused(good.substring(0, at) + changed + good.substring(at + old.length()), complaint);
    }

    @Test
    void optionsOfTheModelAreRefusedByName() throws IOException {
        refused(
                "\"dropout\":null",
                "\"dropout\":0.1",
                " 'model.dropout' is 0.1, which is not supported, expected null");
        refused(
                "\"continuing_subword_prefix\":null",
                "\"continuing_subword_prefix\":\"##\"",
                " 'model.continuing_subword_prefix' is '##', which is not supported, expected null");
        refused(
                "\"end_of_word_suffix\":null",
                "\"end_of_word_suffix\":\"</w>\"",
                " 'model.end_of_word_suffix' is '</w>', which is not supported, expected null");
        refused(
                "\"ignore_merges\":false",
                "\"ignore_merges\":1",
                " 'model.ignore_merges' is 1, expected true or false");
        refused(
                "\"byte_fallback\":false",
                "\"unheard_of\":false",
                " 'model.unheard_of' is not supported, expected it to be absent");
    }

    @Test
    void wrongTypesAreNamed() throws IOException {
        refused("[]", " is a list of 0, expected an object");
        refused("\"text\"", " is 'text', expected an object");
        refused("{}", " 'model' is null, expected an object");
        refused("{\"model\":{\"vocab\":[]}}", " 'model.vocab' is a list of 0, expected an object");
        refused("\"el\":257", "\"el\":\"x\"", " 'model.vocab.el' is 'x', expected an id from 0 to 4194303");
        refused("\"el\":257", "\"el\":-1", " 'model.vocab.el' is -1, expected an id from 0 to 4194303");
        refused(
                "\"el\":257",
                "\"el\":99999999999",
                " 'model.vocab.el' is 99999999999, expected an id from 0 to 4194303");
        refused("\"special\":true", "\"special\":1", " 'added_tokens[0].special' is 1, expected true or false");
    }

    @Test
    void wrongVocabulariesAreNamed() throws IOException {
        refused("\"el\":257", "\"el\":256", " 'model.vocab.el' has the id 256 of 'Ń', expected an id of its own");
        refused("\"Ń\":256,", "", " 'model.vocab' has no 'Ń' for the byte 0xAD, expected all 256 byte symbols");
        refused(
                "\"e l\"",
                "\"e q\"",
                " 'model.merges[0]' needs the token 'eq', expected it in model.vocab, spelled in byte symbols");
        refused(
                "\"e l\"",
                "\"漢 l\"",
                " 'model.merges[0]' needs the token '漢', expected it in model.vocab, spelled in byte symbols");
        refused("\"e l\"", "\"el\"", " 'model.merges[0]' is 'el', expected \"left right\" or [\"left\", \"right\"]");
        refused(
                "\"e l\"",
                "[\"e\",\"l\",\"l\"]",
                " 'model.merges[0]' is a list of 3, expected \"left right\" or [\"left\", \"right\"]");
        refused("\"e l\"", "\"e l\",\"e l\"", " 'model.merges[1]' repeats merge 0, expected each merge once");
    }

    @Test
    void wrongAddedTokensAreNamed() throws IOException {
        refused(
                "\"content\":\"<|endoftext|>\"",
                "\"content\":\"\"",
                " 'added_tokens[0].content' is empty, expected text");
        refused(
                "\"content\":\"<|endoftext|>\"",
                "\"content\":\"<|other|>\"",
                " 'added_tokens[0]' gives '<|other|>' the id 0, expected a text and an id that no other token has");
        refused(
                "\"content\":\"<|endoftext|>\"",
                "\"content\":\"\\uD800\"",
                " 'added_tokens[0].content' has an unpaired surrogate, expected Unicode text");
        String second = ",{\"id\":260,\"content\":\"<|other|>\",\"special\":true}],\"normalizer\"";
        refused(
                "],\"normalizer\"",
                second,
                " 'added_tokens[1]' gives '<|other|>' the id 260, expected 259, the next one that is free");
        Tokenizer two = accepted("],\"normalizer\"", second.replace("260", "259"));
        assertArrayEquals(new int[] {259, 0}, two.encode("<|other|><|endoftext|>"));
        refused(
                "\"single_word\":false",
                "\"double_word\":false",
                " 'added_tokens[0].double_word' is not supported, expected it to be absent");
    }

    @Test
    void damagedFilesAreNamed() throws IOException {
        refused("", " is empty");
        refused(good + "{}", " goes on after its end");
        refused("{\"a\":1,\"a\":2}", " is damaged or not JSON: Duplicate Object property \"a\" (line 1, column 11)");
        refused(
                "[".repeat(100),
                " is damaged or not JSON: Document nesting depth (33) exceeds the maximum allowed (32, from"
                        + " `StreamReadConstraints.getMaxNestingDepth()`)");
        refused(
                "{\"version\":nul",
                " is damaged or not JSON: Unrecognized token 'nul': was expecting (JSON String, Number, Array, Object"
                        + " or token 'null', 'true' or 'false') (line 1, column 12)");
    }

    @Test
    void aMissingFileIsAnIoError() {
        assertThrows(NoSuchFileException.class, () -> Tokenizer.read(directory.resolve("missing.json")));
    }

    @Test
    void withoutPreTokenizerOnlyCharactersAreRead() throws IOException {
        int at = good.indexOf("\"pre_tokenizer\":");
        String without =
                good.substring(0, at) + "\"pre_tokenizer\":null" + good.substring(good.indexOf(",\"post_processor\""));
        refused(without, " 'pre_tokenizer' is null, expected 'ByteLevel'");
        String fused = without.replaceFirst("\"decoder\":\\{[^}]*}", "\"decoder\":{\"type\":\"Fuse\"}");
        refused(fused, " 'model.merges' is a list of 2, expected none without ByteLevel");
        refused(
                fused.replaceFirst("\"merges\":\\[[^\\]]*]", "\"merges\":[]"),
                " 'model.vocab' has 'el', expected single characters");
    }

    @Test
    void bothSpellingsOfMergesAreRead() throws IOException {
        Tokenizer pairs = accepted("\"e l\"", "[\"e\",\"l\"]");
        assertArrayEquals(new int[] {258, 76, 79}, pairs.encode("hello"));
    }

    @Test
    void filesOfGpt2sAgeAreRead() throws IOException {
        good = good.replace("\"type\":\"BPE\",", "").replace(",\"use_regex\":true", "");
        Tokenizer old = accepted("\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"\"");
        assertInstanceOf(BytePairTokenizer.class, old);
        assertEquals(OptionalInt.of(0), old.endOfText());
        assertArrayEquals(new int[] {258, 76, 79}, old.encode("hello"));
    }

    @Test
    void freeIdsAreNotDecoded() throws IOException {
        Tokenizer read = accepted("\"el\":257", "\"el\":300");
        assertEquals(301, read.vocabularySize());
        assertEquals("el", read.decode(300));
        assertThrows(IllegalArgumentException.class, () -> read.decode(299));
    }

    @Test
    void savingLeavesNothingElseBehind() throws IOException {
        Tokenizer.read(file).save(file);
        assertEquals(good, Files.readString(file));
        try (var files = Files.list(directory)) {
            assertEquals(List.of(file), files.toList());
        }
    }
}
