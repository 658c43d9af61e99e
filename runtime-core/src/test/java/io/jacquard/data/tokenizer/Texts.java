package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

final class Texts {
    private static final String[] ALPHABETS = {
        "abcdefghijklmnopqrstuvwxyz",
        "  \t\n\r'.,!?-",
        "ABC'sS'tT're've'm'll'd'LL",
        "0123456789½²Ⅷ٣५",
        "\u00A0\u0085\u1680\u2003\u2028\u2029\u202F\u205F\u3000\u200B\u180E\uFEFF\u001C\u001F\u000B\f",
        "äöüßéñçøÅŁğıİſ",
        "дляихчтоЁ",
        "的一是不了人我在有他这中",
        "مرحبابكם שלוֹםहिन्दी",
        "\u0301\u0308\u093F\u20DD\u200D\uFE0F",
        "\uD83D\uDE00\uD83D\uDC68\uD83C\uDFFD\uD835\uDD38\uD840\uDC00\uD800\uDD07",
        "\u0000\u0001\u007F\u0080\u00AD\uFFFD\uFFFE\uFFFF",
        "<|endoftext|>",
    };

    static final List<String> TRICKY = List.of(
            "",
            " ",
            "  ",
            "\n",
            " \n",
            "\n ",
            "a",
            " a",
            "  a",
            "a ",
            "a  ",
            "a\n\nb",
            "a \n b",
            "a\t\tb",
            "a\u00A0b",
            "a \u00A0b",
            "\u3000\u3000漢字",
            "it's we're I'll you've I'm he'd can't",
            "IT'S WE'RE",
            "'s'tx're' 's ''s '",
            "'",
            "''",
            "'r",
            "'l",
            "'lx",
            "'ll'l",
            "1234567890 12 3½",
            "a1b2",
            "x = y+1; // ok!!",
            "nai\u0308ve naïve",
            "👨‍👩‍👧‍👦 family 🇩🇪 flags",
            "<|endoftext|>",
            "a<|endoftext|>b",
            "a <|endoftext|> b",
            "<|endoftext|><|endoftext|>",
            "<|endoftext|",
            "<<|endoftext|>>",
            "<|<|endoftext|>",
            "\u0000",
            "\uFEFFbom");

    private Texts() {}

    static String random(Random random, int length) {
        StringBuilder text = new StringBuilder();
        while (text.length() < length) {
            String alphabet = ALPHABETS[random.nextInt(ALPHABETS.length)];
            int[] points = alphabet.codePoints().toArray();
            for (int n = random.nextInt(6); n >= 0; n--) {
                text.appendCodePoint(points[random.nextInt(points.length)]);
            }
            if (random.nextInt(40) == 0) {
                text.append("<|endoftext|>");
            }
        }
        return text.toString();
    }

    /// The Java sources of this module.
    static List<String> sources() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of("src"))) {
            return files.filter(file -> file.toString().endsWith(".java"))
                    .sorted()
                    .map(Texts::read)
                    .toList();
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
