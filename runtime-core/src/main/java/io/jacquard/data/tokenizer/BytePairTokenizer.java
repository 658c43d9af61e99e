package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/// Byte-level byte-pair encoding, as in GPT-2 and Llama 3: each piece of the text starts as its bytes, and the adjacent
/// pair whose merge was learned first is merged until no pair has a merge.
///
/// Gives the ids of Hugging Face's `tokenizers` for the same `tokenizer.json`, without the special tokens that a
/// post-processor adds around a text (`add_special_tokens=False` there). One rule differs: an added token decodes
/// to its own text always, there only if it has no character such as `é` that is also a stand-in for a byte.
///
/// **Memory**: each thread that encodes at the same time uses a cache of about 1 MiB.
public final class BytePairTokenizer implements Tokenizer {
    private final Model model;
    private final AddedTokens added;
    private final byte[] @Nullable [] bytesOfId;
    private final BytePairEncoder.Tables tables;
    private final ConcurrentLinkedQueue<BytePairEncoder> idleEncoders = new ConcurrentLinkedQueue<>();

    /// What a `tokenizer.json` holds of it.
    ///
    /// @param vocabulary the spelling of each id; null where the id is free or only an added token's
    /// @param merges left, right and merged id of each merge, by rank
    /// @param splits patterns that cut the text before anything else does
    /// @param splitByPattern whether GPT-2's pattern cuts it
    /// @param ignoreMerges whether a piece that is a token is that token, whatever the merges say
    /// @param postProcessor only kept for [#save]
    record Model(
            @Nullable String[] vocabulary,
            int[] merges,
            List<RegexPieces.Split> splits,
            boolean prefixSpace,
            boolean splitByPattern,
            boolean ignoreMerges,
            @Nullable Object postProcessor) {
        /// In the manner of GPT-2.
        Model(@Nullable String[] vocabulary, int[] merges, boolean prefixSpace, boolean splitByPattern) {
            this(vocabulary, merges, List.of(), prefixSpace, splitByPattern, false, null);
        }
    }

    /// The vocabulary must spell all 256 bytes.
    BytePairTokenizer(Model model, AddedTokens added) {
        this.model = model;
        this.added = added;
        int highestAdded = added.all().isEmpty() ? -1 : added.all().getLast().id();
        bytesOfId = new byte[Math.max(model.vocabulary.length, highestAdded + 1)][];
        int[] idOfByte = new int[256];
        for (int id = 0; id < model.vocabulary.length; id++) {
            String token = model.vocabulary[id];
            if (token != null) {
                byte[] bytes = ByteAlphabet.bytes(token);
                bytesOfId[id] = bytes != null ? bytes : token.getBytes(StandardCharsets.UTF_8);
                if (bytes != null && bytes.length == 1) {
                    idOfByte[bytes[0] & 0xFF] = id;
                }
            }
        }
        for (AddedToken token : added.all()) {
            bytesOfId[token.id()] = token.content().getBytes(StandardCharsets.UTF_8);
        }
        tables = new BytePairEncoder.Tables(
                idOfByte, rankedMerges(model.merges), model.ignoreMerges ? idOfPiece(model.vocabulary) : null);
    }

    /// By bytes, as the characters up to U+00FF.
    private static Map<String, Integer> idOfPiece(@Nullable String[] vocabulary) {
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < vocabulary.length; id++) {
            String token = vocabulary[id];
            byte[] bytes = token == null ? null : ByteAlphabet.bytes(token);
            if (bytes != null) {
                ids.put(new String(bytes, StandardCharsets.ISO_8859_1), id);
            }
        }
        return ids;
    }

    private static PairMap rankedMerges(int[] merges) {
        PairMap ranked = new PairMap(merges.length / 3);
        for (int i = 0; i < merges.length; i += 3) {
            ranked.put(merges[i], merges[i + 1], PairMap.key(i / 3, merges[i + 2]));
        }
        return ranked;
    }

    Model model() {
        return model;
    }

    AddedTokens added() {
        return added;
    }

    @Override
    public int[] encode(byte[] utf8, int from, int to) {
        return encode(utf8, from, to, added);
    }

    @Override
    public int[] encodeOrdinary(byte[] utf8, int from, int to) {
        return encode(utf8, from, to, null);
    }

    private int[] encode(byte[] utf8, int from, int to, @Nullable AddedTokens recognised) {
        BytePairEncoder idle = idleEncoders.poll();
        BytePairEncoder encoder = idle != null ? idle : new BytePairEncoder(tables, model);
        int[] ids = encoder.encode(utf8, from, to, recognised);
        idleEncoders.add(encoder);
        return ids;
    }

    @Override
    public byte[] decodeBytes(int... ids) {
        return Decoding.concatenate(ids, bytesOfId);
    }

    @Override
    public int vocabularySize() {
        return bytesOfId.length;
    }

    @Override
    public Map<String, Integer> specialTokens() {
        return added.special();
    }

    @Override
    public void save(Path tokenizerJson) throws IOException {
        TokenizerWriter.write(tokenizerJson, model, added);
    }

    @Override
    public String toString() {
        return "BytePairTokenizer[" + vocabularySize() + " ids, " + model.merges.length / 3 + " merges, special "
                + Arrays.toString(added.special().keySet().toArray()) + "]";
    }
}
