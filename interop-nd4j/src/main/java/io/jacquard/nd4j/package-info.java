/// Arrays of ND4J to tensors and back, for programs that keep data or models in ND4J. Start at `Nd4jBridge`.
///
/// Only exchange belongs here; nothing in Jacquard computes with ND4J. What was seen with 1.0.0-M2.1 on JDK 25 and is
/// good to know before computing with it on data shared with tensors:
///
/// - `Nd4j.nn().gelu(x)` returns `x` itself, overwritten. On a view that overwrites the tensor; give it `x.dup()`.
/// - `Nd4j.nn().layerNorm(x, gain, bias, channelsFirst, 1)` throws "Output array did not match expected shape" for `x`
///   of rank 2.
/// - `get` with an interval that does not start at 0, on what `get` returned, returns an empty array where elements
///   were asked for: call `dup()` between the two. `toString()` of such a view leaves rows out; its elements are right.
/// - Each operation costs 5 to 30 microseconds before it computes; softmax and GELU over `[4096, 768]` took 12 and 6
///   times as long as kernels on the Vector API. Its bfloat16 products do not use AMX.
/// - ND4J limits its memory outside the heap to `-Xmx`; `-Dorg.bytedeco.javacpp.maxbytes` and
///   `-Dorg.bytedeco.javacpp.maxphysicalbytes` set it. Memory of views does not count.
/// - It names JavaCPP 1.5.7 and works with the newer one that Jacquard needs; pin the newer one, natives included.
///   Its dependencies are old (commons-net 3.1, jna 4.3): let them into a program only if ND4J is wanted.
package io.jacquard.nd4j;
