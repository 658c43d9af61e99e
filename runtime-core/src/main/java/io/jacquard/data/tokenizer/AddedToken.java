package io.jacquard.data.tokenizer;

/// A token that is recognised in the text before anything else happens to it.
///
/// @param normalized looked for only after all tokens that are not
/// @param stripLeft takes the white space before it along
record AddedToken(
        int id,
        String content,
        boolean singleWord,
        boolean stripLeft,
        boolean stripRight,
        boolean normalized,
        boolean special) {

    static AddedToken special(int id, String content) {
        return new AddedToken(id, content, false, false, false, false, true);
    }
}
