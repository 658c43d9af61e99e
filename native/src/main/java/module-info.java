/// Jacquard's CUDA kernels, compiled, and their compiler.
module io.jacquard.kernels {
    requires static transitive org.jspecify;

    exports io.jacquard.kernels;
}
