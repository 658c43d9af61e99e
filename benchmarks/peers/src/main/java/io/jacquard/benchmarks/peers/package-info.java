/// Other JVM libraries as contenders of the benchmarks, on the CPU: [PeerServer] puts one of them behind the protocol
/// of `torch_peer.py`, in a process of its own.
///
/// | argument | library | BLAS | fused |
/// | --- | --- | --- | --- |
/// | `javacpp` | `org.bytedeco:pytorch`, PyTorch 2.13.0 | OpenBLAS 0.3.31; BF16 oneDNN | attention, norms, AdamW |
/// | `djl` | DJL 0.36.0, PyTorch 2.7.1 | MKL | layer norm |
/// | `nd4j` | ND4J 1.0.0-M2.1 with oneDNN, SameDiff | OpenBLAS 0.3.31 | layer norm |
///
/// [KernelRow] has a row's operands, the same for all, and what must come out, in doubles. [Layers] is what decoders
/// are made of, so that [Decoder] is written once; [Library] what the kernels need beyond that of a library that
/// computes at once. All three train the same weights on the same tokens, and their losses agree.
///
/// What they cannot do, or not as one would think:
///
/// - JavaCPP's preset binds of AdamW only the C++ optimizer; the fused operation of PyTorch is called by its name. What
///   an operation in place returns is its operand's own handle: nobody closes it. Everything else a run makes dies
///   with its `PointerScope`.
/// - DJL binds neither PyTorch's attention nor its RMSNorm, GELU by tanh or fused AdamW: they are put together, as its
///   users have to. Its own GELU, by erf, is a variant of its own and what its models use. Gradients are those of the
///   leaves only, to which each pass adds. BF16 it cannot compute with. A number that an operation takes lies in memory
///   that the JVM may collect before the backward pass reads it: constants are arrays.
/// - ND4J has no attention with a causal mask and no RMSNorm: they are put together. Its `gelu` is that by the logistic
///   function, and `preciseGelu` is wrong: it cubes the factor of the cubic term too. BF16 products add up in BF16
///   and are refused. `layer_norm` has no epsilon.
/// - SameDiff's gradient of `gather` goes through a loop over the ids and forgets all but the last of an id; that of
///   its sparse cross entropy ignores what the loss is multiplied with. So embeddings are products with one-hot rows,
///   and the loss is that of one-hot labels.
///
/// `--threads` sets the threads of all: ND4J would take half of the processors, OpenBLAS all of them.
package io.jacquard.benchmarks.peers;
