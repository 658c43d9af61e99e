package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/// Reads `tokenizer.json`. What would change the ids and is not done here is refused by its name.
final class TokenizerReader {
    // An embedding of 4 Mi rows is beyond every model; a table of this many references is still harmless.
    static final int ID_LIMIT = 1 << 22;
    private static final int BYTES = 256;

    private static final Set<String> TOP = Set.of(
            "version",
            "truncation",
            "padding",
            "added_tokens",
            "normalizer",
            "pre_tokenizer",
            "post_processor",
            "decoder",
            "model");
    private static final Set<String> MODEL = Set.of(
            "type",
            "dropout",
            "unk_token",
            "continuing_subword_prefix",
            "end_of_word_suffix",
            "fuse_unk",
            "byte_fallback",
            "ignore_merges",
            "vocab",
            "merges");
    private static final Set<String> BYTE_LEVEL = Set.of("type", "add_prefix_space", "trim_offsets", "use_regex");
    private static final Set<String> SEQUENCE = Set.of("type", "pretokenizers");
    private static final Set<String> SPLIT = Set.of("type", "pattern", "behavior", "invert");
    private static final Set<String> ADDED_TOKEN =
            Set.of("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");

    private final JsonTree root;
    private final Map<String, Integer> idOf = new HashMap<>();

    private TokenizerReader(JsonTree root) {
        this.root = root;
    }

    static Tokenizer read(Path file) throws IOException {
        return tokenizer(JsonTree.read(file));
    }

    static Tokenizer tokenizer(JsonTree root) {
        return new TokenizerReader(root).tokenizer();
    }

    private Tokenizer tokenizer() {
        root.noOtherNamesThan(TOP);
        root.get("version").mustBe("'1.0'", "1.0", null);
        root.get("truncation").mustBe("null", (Object) null);
        root.get("padding").mustBe("null", (Object) null);
        root.get("normalizer").mustBe("null", (Object) null);
        JsonTree model = root.get("model");
        checkModel(model);
        @Nullable String[] vocabulary = vocabulary(model.get("vocab"));
        AddedTokens added = new AddedTokens(addedTokens(root.get("added_tokens"), vocabulary));
        JsonTree pre = root.get("pre_tokenizer");
        return pre.isNull() ? characters(model, vocabulary, added) : byteLevel(model, pre, vocabulary, added);
    }

    private static void checkModel(JsonTree model) {
        model.object();
        // Files written before 0.9 have no type; vocabulary and merges together are BPE.
        model.get("type").mustBe("'BPE'", "BPE", null);
        model.noOtherNamesThan(MODEL);
        model.get("dropout").mustBe("null", null, 0.0, 0L);
        model.get("continuing_subword_prefix").mustBe("null", null, "");
        model.get("end_of_word_suffix").mustBe("null", null, "");
        // unk_token, fuse_unk and byte_fallback act only on symbols without a token: byteLevel refuses such
        // vocabularies, and CharTokenizer such text.
    }

    private @Nullable String[] vocabulary(JsonTree vocab) {
        int size = 0;
        for (Object name : vocab.object().keySet()) {
            size = Math.max(size, vocab.get((String) name).id(ID_LIMIT) + 1);
        }
        @Nullable String[] vocabulary = new String[size];
        for (Object name : vocab.object().keySet()) {
            String token = new JsonTree(root.file(), "model.vocab", name).text();
            JsonTree entry = vocab.get(token);
            int id = entry.id(ID_LIMIT);
            if (vocabulary[id] != null) {
                throw entry.bad(
                        "has the id " + id + " of " + JsonTree.quoted(vocabulary[id]) + ", expected an id of its own");
            }
            vocabulary[id] = token;
            idOf.put(token, id);
        }
        return vocabulary;
    }

    private List<AddedToken> addedTokens(JsonTree entries, @Nullable String[] vocabulary) {
        List<AddedToken> tokens = new ArrayList<>();
        if (entries.isNull()) {
            return tokens;
        }
        Set<Integer> ids = new HashSet<>();
        Set<String> contents = new HashSet<>();
        int next = idOf.size();
        for (int i = 0; i < entries.list().size(); i++) {
            JsonTree entry = entries.at(i);
            entry.object();
            entry.noOtherNamesThan(ADDED_TOKEN);
            AddedToken token = addedToken(entry);
            String inVocabulary = token.id() < vocabulary.length ? vocabulary[token.id()] : null;
            Integer idInVocabulary = idOf.get(token.content());
            if (token.content().isEmpty()) {
                throw entry.get("content").bad("is empty, expected text");
            }
            if (!ids.add(token.id())
                    || !contents.add(token.content())
                    || inVocabulary != null && !inVocabulary.equals(token.content())
                    || idInVocabulary != null && idInVocabulary != token.id()) {
                throw entry.bad("gives " + JsonTree.quoted(token.content()) + " the id " + token.id()
                        + ", expected a text and an id that no other token has");
            }
            // Hugging Face's library counts up, whatever the file says: another id would mean two things.
            if (idInVocabulary == null && token.id() != next) {
                throw entry.bad("gives " + JsonTree.quoted(token.content()) + " the id " + token.id() + ", expected "
                        + next + ", the next one that is free");
            }
            next = Math.max(next, token.id() + 1);
            tokens.add(token);
        }
        return tokens;
    }

    private static AddedToken addedToken(JsonTree entry) {
        boolean special = entry.get("special").flag(false);
        return new AddedToken(
                entry.get("id").id(ID_LIMIT),
                entry.get("content").text(),
                entry.get("single_word").flag(false),
                entry.get("lstrip").flag(false),
                entry.get("rstrip").flag(false),
                entry.get("normalized").flag(!special),
                special);
    }

    private Tokenizer characters(JsonTree model, @Nullable String[] vocabulary, AddedTokens added) {
        if (!"Fuse".equals(type(root.get("decoder")))) {
            throw root.get("pre_tokenizer").bad("is null, expected 'ByteLevel'");
        }
        root.get("post_processor").mustBe("null", (Object) null);
        if (!model.get("merges").list().isEmpty()) {
            throw model.get("merges").bad("is " + model.get("merges").shown() + ", expected none without ByteLevel");
        }
        Set<String> addedContents = new HashSet<>();
        added.all().forEach(token -> addedContents.add(token.content()));
        for (String token : vocabulary) {
            if (token != null && !addedContents.contains(token) && token.codePointCount(0, token.length()) != 1) {
                throw model.get("vocab").bad("has " + JsonTree.quoted(token) + ", expected single characters");
            }
        }
        return new CharTokenizer(vocabulary, added);
    }

    private static @Nullable String type(JsonTree component) {
        return component.value() instanceof Map<?, ?> map && map.get("type") instanceof String type ? type : null;
    }

    private Tokenizer byteLevel(JsonTree model, JsonTree pre, @Nullable String[] vocabulary, AddedTokens added) {
        List<RegexPieces.Split> splits = new ArrayList<>();
        JsonTree byteLevel = "Sequence".equals(type(pre)) ? splits(pre, splits) : pre;
        mustBeByteLevel(byteLevel);
        mustBeByteLevel(root.get("decoder"));
        checkPostProcessor(root.get("post_processor"));
        for (int b = 0; b < BYTES; b++) {
            String symbol = String.valueOf(ByteAlphabet.symbol(b));
            if (!idOf.containsKey(symbol)) {
                throw model.get("vocab")
                        .bad("has no '%s' for the byte 0x%02X, expected all 256 byte symbols".formatted(symbol, b));
            }
        }
        int[] merges = merges(model.get("merges"));
        boolean prefixSpace = byteLevel.get("add_prefix_space").flag(true);
        if (prefixSpace && !splits.isEmpty()) {
            throw byteLevel
                    .get("add_prefix_space")
                    .bad("is true behind a 'Split', which is not supported, expected" + " false");
        }
        boolean onlyBytes = merges.length == 0 && !prefixSpace && splits.isEmpty() && isBytes(vocabulary);
        if (onlyBytes && added.all().equals(List.of(ByteTokenizer.END))) {
            return new ByteTokenizer();
        }
        return new BytePairTokenizer(
                new BytePairTokenizer.Model(
                        vocabulary,
                        merges,
                        splits,
                        prefixSpace,
                        byteLevel.get("use_regex").flag(true),
                        model.get("ignore_merges").flag(false),
                        root.get("post_processor").value()),
                added);
    }

    /// Collects the patterns of a sequence of `Split`s; returns its last member.
    private static JsonTree splits(JsonTree sequence, List<RegexPieces.Split> splits) {
        sequence.noOtherNamesThan(SEQUENCE);
        JsonTree members = sequence.get("pretokenizers");
        int n = members.list().size();
        for (int i = 0; i < n - 1; i++) {
            splits.add(split(members.at(i)));
        }
        if (n == 0) {
            throw members.bad("is empty, expected 'Split's and 'ByteLevel'");
        }
        return members.at(n - 1);
    }

    private static RegexPieces.Split split(JsonTree split) {
        if (!"Split".equals(type(split))) {
            throw split.bad("is " + split.shown() + ", which is not supported, expected 'Split'");
        }
        split.noOtherNamesThan(SPLIT);
        split.get("behavior").mustBe("'Isolated'", "Isolated");
        split.get("invert").mustBe("false", null, false);
        JsonTree pattern = split.get("pattern");
        boolean literal = pattern.object().containsKey("String");
        JsonTree text = pattern.get(literal ? "String" : "Regex");
        RegexPieces.Split made = new RegexPieces.Split(text.text(), literal);
        try {
            made.compile();
        } catch (PatternSyntaxException e) {
            throw text.bad("is " + text.shown() + ", expected a regular expression that java.util.regex knows ("
                    + e.getDescription() + " at " + e.getIndex() + ")");
        }
        return made;
    }

    /// ByteLevel there only moves offsets, and a template only adds special tokens around the ids.
    private static void checkPostProcessor(JsonTree post) {
        if (post.isNull() || "TemplateProcessing".equals(type(post))) {
            return;
        }
        if ("Sequence".equals(type(post))) {
            JsonTree members = post.get("processors");
            for (int i = 0; i < members.list().size(); i++) {
                checkPostProcessor(members.at(i));
            }
            return;
        }
        mustBeByteLevel(post);
    }

    private static void mustBeByteLevel(JsonTree component) {
        if (!"ByteLevel".equals(type(component))) {
            throw component.bad("is " + component.shown() + ", which is not supported, expected 'ByteLevel'");
        }
        component.noOtherNamesThan(BYTE_LEVEL);
    }

    private static boolean isBytes(@Nullable String[] vocabulary) {
        if (vocabulary.length != BYTES) {
            return false;
        }
        for (int b = 0; b < BYTES; b++) {
            if (!String.valueOf(ByteAlphabet.symbol(b)).equals(vocabulary[b])) {
                return false;
            }
        }
        return true;
    }

    private int[] merges(JsonTree merges) {
        int n = merges.list().size();
        int[] triples = new int[3 * n];
        PairMap rankOf = new PairMap(n);
        for (int i = 0; i < n; i++) {
            JsonTree merge = merges.at(i);
            String[] pair = pair(merge);
            int left = part(merge, pair[0]);
            int right = part(merge, pair[1]);
            if (rankOf.get(left, right) != PairMap.NONE) {
                throw merge.bad("repeats merge " + rankOf.get(left, right) + ", expected each merge once");
            }
            rankOf.put(left, right, i);
            triples[3 * i] = left;
            triples[3 * i + 1] = right;
            triples[3 * i + 2] = part(merge, pair[0] + pair[1]);
        }
        return triples;
    }

    private static String[] pair(JsonTree merge) {
        if (merge.value() instanceof List<?> list && list.size() == 2) {
            return new String[] {merge.at(0).text(), merge.at(1).text()};
        }
        if (merge.value() instanceof String) {
            String text = merge.text();
            int space = text.indexOf(' ');
            if (space >= 0 && text.indexOf(' ', space + 1) < 0) {
                return new String[] {text.substring(0, space), text.substring(space + 1)};
            }
        }
        throw merge.bad("is " + merge.shown() + ", expected \"left right\" or [\"left\", \"right\"]");
    }

    private int part(JsonTree merge, String token) {
        Integer id = idOf.get(token);
        if (id == null || token.isEmpty() || ByteAlphabet.bytes(token) == null) {
            throw merge.bad("needs the token " + JsonTree.quoted(token) + ", expected it in model.vocab, spelled in"
                    + " byte symbols");
        }
        return id;
    }
}
