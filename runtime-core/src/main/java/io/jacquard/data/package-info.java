/// From text to batches of tokens, in host memory only.
///
/// `Prepare` turns files, folders and archives into token shards; `TokenFile` maps one shard; `Batches` gives any
/// micro-batch of any step as a pure function of the seed, so that there is no iterator state to save and a resumed run
/// sees what an uninterrupted one would have. Start there for training and at `Prepare` for a new data set.
/// Tokenizers live in `io.jacquard.data.tokenizer`; nothing here knows a tensor or a device.
@NullMarked
package io.jacquard.data;

import org.jspecify.annotations.NullMarked;
