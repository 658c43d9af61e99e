package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;

/// Text to token ids and back.
///
/// Added tokens such as `<|endoftext|>` are recognised inside the text by `encode`; `encodeOrdinary` treats their text
/// like any other, which is the one to use on text from strangers.
///
/// A `String` is encoded as UTF-8; an unpaired surrogate, which has no UTF-8, counts as U+FFFD. The byte methods lose
/// nothing: `decodeBytes(encode(bytes))` returns the same bytes, well-formed UTF-8 or not (`CharTokenizer`, which has
/// no token for a byte, refuses what is not UTF-8).
///
/// **Thread**: immutable, to be shared freely.
public sealed interface Tokenizer permits BytePairTokenizer, ByteTokenizer, CharTokenizer {

    /// The conventional token between documents.
    String END_OF_TEXT = "<|endoftext|>";

    /// Reads a Hugging Face `tokenizer.json`, among them all files written by `save`.
    ///
    /// @throws IllegalArgumentException if the file is damaged, or asks for something that this package does not do
    static Tokenizer read(Path tokenizerJson) throws IOException {
        return TokenizerReader.read(tokenizerJson);
    }

    /// Token ids of the text, added tokens recognised.
    default int[] encode(String text) {
        return encode(Utf8.bytes(text));
    }

    /// Token ids of UTF-8 text, added tokens recognised.
    default int[] encode(byte[] utf8) {
        return encode(utf8, 0, utf8.length);
    }

    /// Token ids of the UTF-8 text in `utf8[from, to)`, added tokens recognised.
    int[] encode(byte[] utf8, int from, int to);

    /// Token ids of the text, in which no added token is recognised.
    default int[] encodeOrdinary(String text) {
        byte[] utf8 = Utf8.bytes(text);
        return encodeOrdinary(utf8, 0, utf8.length);
    }

    /// Token ids of the UTF-8 text in `utf8[from, to)`, in which no added token is recognised.
    int[] encodeOrdinary(byte[] utf8, int from, int to);

    /// The bytes that the ids stand for, added tokens included.
    ///
    /// @throws IllegalArgumentException if an id is not in the vocabulary
    byte[] decodeBytes(int... ids);

    /// The text that the ids stand for, added tokens included; what is not UTF-8 becomes U+FFFD.
    ///
    /// @throws IllegalArgumentException if an id is not in the vocabulary
    default String decode(int... ids) {
        return Utf8.decode(decodeBytes(ids));
    }

    /// One more than the highest id: the number of rows that an embedding needs.
    int vocabularySize();

    /// The text and id of each special token, by ascending id.
    Map<String, Integer> specialTokens();

    /// The id of the token between documents: `<|endoftext|>`, or else `<|end_of_text|>`, `</s>` or `<eos>`.
    default OptionalInt endOfText() {
        for (String name : new String[] {END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>"}) {
            Integer id = specialTokens().get(name);
            if (id != null) {
                return OptionalInt.of(id);
            }
        }
        return OptionalInt.empty();
    }

    /// Writes a `tokenizer.json` that Hugging Face's libraries read too. An existing file is replaced as a whole.
    void save(Path tokenizerJson) throws IOException;
}
