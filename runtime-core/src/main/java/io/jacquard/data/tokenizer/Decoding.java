package io.jacquard.data.tokenizer;

import org.jspecify.annotations.Nullable;

final class Decoding {
    private Decoding() {}

    static byte[] concatenate(int[] ids, byte[] @Nullable [] bytesOfId) {
        long length = 0;
        for (int i = 0; i < ids.length; i++) {
            byte[] bytes = ids[i] >= 0 && ids[i] < bytesOfId.length ? bytesOfId[ids[i]] : null;
            if (bytes == null) {
                throw unknown(ids[i], i, bytesOfId.length);
            }
            length += bytes.length;
        }
        byte[] all = new byte[Math.toIntExact(length)];
        int at = 0;
        for (int id : ids) {
            byte[] bytes = bytesOfId[id];
            if (bytes != null) {
                System.arraycopy(bytes, 0, all, at, bytes.length);
                at += bytes.length;
            }
        }
        return all;
    }

    static IllegalArgumentException unknown(int id, int position, int vocabularySize) {
        return new IllegalArgumentException("decode: no token has id " + id + ", found at position " + position
                + " (ids are below " + vocabularySize + "); decode with the tokenizer that made the ids");
    }
}
