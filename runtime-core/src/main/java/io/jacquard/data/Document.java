package io.jacquard.data;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/// One text of a corpus.
///
/// @param name where it came from, for messages
/// @param hash the first 128 bits of the SHA-256 of its UTF-8 bytes
public record Document(String name, String text, Hash hash) {
    /// A content hash, to find duplicates and to divide documents in a way that does not depend on the others.
    public record Hash(long high, long low) {
        /// Evenly spread over 0 (inclusive) to 1 (exclusive).
        public double fraction() {
            return (high >>> 11) * 0x1p-53;
        }
    }

    static Document of(String name, String text) {
        ByteBuffer digest = ByteBuffer.wrap(sha256().digest(text.getBytes(StandardCharsets.UTF_8)));
        return new Document(name, text, new Hash(digest.getLong(), digest.getLong()));
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
