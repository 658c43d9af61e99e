package io.jacquard.data.tokenizer;

import org.jspecify.annotations.Nullable;

/// GPT-2's printable stand-in for each byte, in which `tokenizer.json` spells its tokens: the printable characters of
/// Latin-1 for themselves, U+0100 and following for the other 68 bytes in ascending order.
final class ByteAlphabet {
    private static final char[] OF_BYTE = new char[256];
    private static final int FIRST_STAND_IN = 0x100;
    private static final byte[] OF_CHAR = new byte[FIRST_STAND_IN + 68];
    private static final boolean[] IS_SYMBOL = new boolean[OF_CHAR.length];

    static {
        char standIn = FIRST_STAND_IN;
        for (int b = 0; b < 256; b++) {
            boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
            char c = printable ? (char) b : standIn++;
            OF_BYTE[b] = c;
            OF_CHAR[c] = (byte) b;
            IS_SYMBOL[c] = true;
        }
    }

    private ByteAlphabet() {}

    static char symbol(int unsignedByte) {
        return OF_BYTE[unsignedByte];
    }

    static String spell(byte[] bytes) {
        char[] symbols = new char[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            symbols[i] = OF_BYTE[bytes[i] & 0xFF];
        }
        return new String(symbols);
    }

    /// The bytes, or null if a character stands for no byte.
    static byte @Nullable [] bytes(String symbols) {
        byte[] bytes = new byte[symbols.length()];
        for (int i = 0; i < bytes.length; i++) {
            char c = symbols.charAt(i);
            if (c >= OF_CHAR.length || !IS_SYMBOL[c]) {
                return null;
            }
            bytes[i] = OF_CHAR[c];
        }
        return bytes;
    }
}
