package io.jacquard.train;

/// How well a model predicts a text.
///
/// @param loss mean over the tokens, in nats
/// @param tokens how many tokens were predicted
/// @param bytes how many bytes of text these tokens stand for; 0 where unknown
public record Score(double loss, long tokens, long bytes) {
    /// `e^loss`.
    public double perplexity() {
        return Math.exp(loss);
    }

    /// Bits for each byte of text: comparable between tokenizers, unlike loss and perplexity. NaN where unknown.
    public double bitsPerByte() {
        return bytes == 0 ? Double.NaN : loss * tokens / bytes / Math.log(2);
    }
}
