/// Tensors, autograd, layers, optimizers, data, files and the CPU backend of Jacquard.
module io.jacquard.core {
    requires static transitive org.jspecify;
    requires java.management;
    requires jdk.incubator.vector;
    requires jdk.management;
    requires org.bytedeco.dnnl;
    requires org.bytedeco.javacpp;
    requires tools.jackson.core;

    exports io.jacquard.data;
    exports io.jacquard.data.tokenizer;
    exports io.jacquard.group;
    exports io.jacquard.io;
    exports io.jacquard.nn;
    exports io.jacquard.ops;
    exports io.jacquard.optim;
    exports io.jacquard.parallel;
    exports io.jacquard.quantize;
    exports io.jacquard.tensor;
    exports io.jacquard.tensor.spi;

    uses io.jacquard.tensor.spi.BackendProvider;

    provides io.jacquard.tensor.spi.BackendProvider with
            io.jacquard.cpu.CpuBackendProvider;
}
