/// The CUDA backend of Jacquard: the same training on an NVIDIA GPU, or on the emulated driver.
module io.jacquard.cuda {
    requires static transitive org.jspecify;
    requires io.jacquard.collectives;
    requires io.jacquard.core;
    requires io.jacquard.kernels;
    requires jdk.jfr;
    requires org.bytedeco.cuda;
    requires org.bytedeco.javacpp;

    provides io.jacquard.tensor.spi.BackendProvider with
            io.jacquard.cuda.CudaProvider;
    provides io.jacquard.ranks.GroupEngine with
            io.jacquard.nccl.NcclEngine;
}
