package io.jacquard.nccl;

import io.jacquard.cuda.CudaBackend;
import io.jacquard.cuda.driver.Nccl;
import io.jacquard.group.Group;
import io.jacquard.line.Line;
import io.jacquard.ranks.GroupEngine;
import io.jacquard.tensor.Session;

/// Groups of ranks with a GPU each.
public final class NcclEngine implements GroupEngine {
    @Override
    public String kind() {
        return "cuda";
    }

    @Override
    public Group open(Line line) {
        return NcclGroup.open(Nccl.get(), CudaBackend.gpu(Session.current()), line);
    }
}
