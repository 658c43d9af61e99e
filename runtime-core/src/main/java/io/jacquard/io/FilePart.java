package io.jacquard.io;

import java.nio.file.Path;

/// One of the safetensors files that ranks write together.
///
/// @param number from 1
/// @param of how many there are
public record FilePart(int number, int of) {
    /// The only one.
    public static final FilePart ALL = new FilePart(1, 1);

    /// Its name among those of `what`, in the manner of transformers: `model.safetensors`, or
    /// `model-00001-of-00004.safetensors`.
    public String name(String what) {
        return of == 1 ? what + ".safetensors" : String.format("%s-%05d-of-%05d.safetensors", what, number, of);
    }

    /// Whether what exists once, whatever the number of files, is written with this one.
    public boolean isFirst() {
        return number == 1;
    }

    /// Whether `file` is one of those of `what`.
    public static boolean isOneOf(String what, Path file) {
        return file.getFileName().toString().matches(what + "(-\\d{5}-of-\\d{5})?\\.safetensors");
    }
}
