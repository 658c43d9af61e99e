package io.jacquard.data.tokenizer;

import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Cuts text at added tokens as Hugging Face does: first those that are not `normalized`, then in the text between
/// them the others; each time the leftmost match, and of several there the longest.
final class AddedTokens {
    private final List<AddedToken> all;
    private final Map<String, Integer> special;
    private final Matcher first;
    private final Matcher second;

    AddedTokens(List<AddedToken> tokens) {
        all = tokens.stream().sorted(Comparator.comparingInt(AddedToken::id)).toList();
        Map<String, Integer> specials = new LinkedHashMap<>();
        all.stream().filter(AddedToken::special).forEach(t -> specials.put(t.content(), t.id()));
        special = Collections.unmodifiableMap(specials);
        first = new Matcher(all.stream().filter(t -> !t.normalized()).toList());
        second = new Matcher(all.stream().filter(AddedToken::normalized).toList());
    }

    List<AddedToken> all() {
        return all;
    }

    /// By ascending id.
    Map<String, Integer> special() {
        return special;
    }

    interface Sink {
        void text(int from, int to);

        void token(int id);
    }

    void split(byte[] text, int from, int to, Sink sink) {
        if (second.isEmpty()) {
            first.split(text, from, to, sink);
            return;
        }
        first.split(text, from, to, new Sink() {
            @Override
            public void text(int start, int end) {
                second.split(text, start, end, sink);
            }

            @Override
            public void token(int id) {
                sink.token(id);
            }
        });
    }

    /// A trie over bytes; an edge is the pair (node, byte).
    private static final class Matcher {
        private final List<AddedToken> tokens;
        private final PairMap edges = new PairMap(64);
        private final boolean[] begins = new boolean[256];
        // Index of the token that ends at the node, or -1.
        private final int[] ending;

        Matcher(List<AddedToken> tokens) {
            this.tokens = tokens;
            int nodes = 1
                    + tokens.stream()
                            .mapToInt(t -> Utf8.bytes(t.content()).length)
                            .sum();
            ending = new int[nodes];
            Arrays.fill(ending, -1);
            for (int i = 0; i < tokens.size(); i++) {
                byte[] content = Utf8.bytes(tokens.get(i).content());
                begins[content[0] & 0xFF] = true;
                int node = 0;
                for (byte b : content) {
                    if (edges.get(node, b & 0xFF) == PairMap.NONE) {
                        edges.put(node, b & 0xFF, edges.size() + 1);
                    }
                    node = (int) edges.get(node, b & 0xFF);
                }
                ending[node] = i;
            }
        }

        boolean isEmpty() {
            return tokens.isEmpty();
        }

        void split(byte[] text, int from, int to, Sink sink) {
            int done = from;
            int at = from;
            while (at < to && !tokens.isEmpty()) {
                long match = begins[text[at] & 0xFF] ? longest(text, at, to) : -1;
                if (match < 0) {
                    at++;
                    continue;
                }
                int matchEnd = (int) match;
                AddedToken token = tokens.get((int) (match >> 32));
                if (!token.singleWord() || !Words.endsAt(text, from, at) && !Words.beginsAt(text, matchEnd, to)) {
                    int start = token.stripLeft() ? Math.max(done, Words.spaceStart(text, from, at)) : at;
                    if (done < start) {
                        sink.text(done, start);
                    }
                    sink.token(token.id());
                    done = token.stripRight() ? Words.spaceEnd(text, matchEnd, to) : matchEnd;
                }
                // Not from `done`: white space that was stripped can still be a token, as in Hugging Face's library.
                at = matchEnd;
            }
            if (done < to) {
                sink.text(done, to);
            }
        }

        /// Index of the token and end of the match, or -1.
        private long longest(byte[] text, int from, int to) {
            long best = -1;
            int node = 0;
            for (int at = from; at < to; at++) {
                long next = edges.get(node, text[at] & 0xFF);
                if (next == PairMap.NONE) {
                    break;
                }
                node = (int) next;
                if (ending[node] >= 0) {
                    best = PairMap.key(ending[node], at + 1);
                }
            }
            return best;
        }
    }
}
