/// Layers and models. Parameters are declared by name before any memory exists (`Weights`), then allocated together as
/// one flat tensor of values and one of gradients; a layer holds its parameters and knows how to apply itself.
///
/// Start at `Decoder`: `Gpt` (GPT-2) and `Llama` are its two forms, both made from `DecoderConfig`.
/// Names of parameters are those of Hugging Face's state dicts, so that files need no table of names.
package io.jacquard.nn;
