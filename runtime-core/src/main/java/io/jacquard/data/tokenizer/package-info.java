/// Text to token ids and back, in pure Java: byte-level BPE that equals Hugging Face's id for id, its trainer, and the
/// two small tokenizers for experiments (bytes, characters).
///
/// Start at `Tokenizer.read` for a `tokenizer.json`, or at `BpeTrainer` to make one from a corpus. All tokenizers are
/// immutable and may be shared between threads. What a file asks for and this package cannot do (normalizers, Unigram,
/// other pre-tokenizers) is refused by name when the file is read. Files of token ids belong to `io.jacquard.data`.
@NullMarked
package io.jacquard.data.tokenizer;

import org.jspecify.annotations.NullMarked;
