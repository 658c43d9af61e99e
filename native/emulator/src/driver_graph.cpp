// driver_graph.cpp: graphs made by capture, and their replay.
#include "driver.h"

namespace emulator::driver {

static std::set<Graph*>& graphs() {
    static auto* set = new std::set<Graph*>;
    return *set;
}
// An instance shares no kernel parameters with the graph it came from: both may be changed.
struct GraphInstance {
    std::vector<std::shared_ptr<Operation>> operations;
    std::vector<const Operation*> nodes;  // of the graph, in the same order
    std::vector<Step> steps;
    std::vector<Stream*> lanes;
};
static std::set<GraphInstance*>& instances() {
    static auto* set = new std::set<GraphInstance*>;
    return *set;
}

void* keepGraph(std::unique_ptr<Graph> graph) {
    Graph* handle = graph.release();
    graphs().insert(handle);
    return handle;
}

static Graph* graphOf(void* handle) {
    return graphs().count((Graph*)handle) ? (Graph*)handle : nullptr;
}

static Operation* nodeOf(void* handle) {
    for (Graph* g : graphs()) {
        for (auto& node : g->nodes) {
            if (node.get() == handle) return node.get();
        }
    }
    return nullptr;
}

static int instantiate(void** instance, void* handle) {
    Graph* g = graphOf(handle);
    if (!g) return refuse(INVALID_HANDLE, "%p is not a graph", handle);
    auto* i = new GraphInstance;
    for (auto& node : g->nodes) {
        i->operations.push_back(node->kernel ? std::make_shared<Operation>(kernelOperation(*node->kernel)) : node);
        i->nodes.push_back(node.get());
    }
    i->steps = g->steps;
    instances().insert(i);
    *instance = i;
    return SUCCESS;
}

}  // namespace emulator::driver

using namespace emulator::driver;

EXPORT int cuGraphInstantiateWithFlags(void** instance, void* graph, unsigned long long) {
    return call("cuGraphInstantiateWithFlags", Needs::CONTEXT, [&] { return instantiate(instance, graph); });
}

// As in cuda.h.
struct CUDA_GRAPH_INSTANTIATE_PARAMS {
    uint64_t flags;
    void *uploadStream, *errorNode;
    int result;
};
EXPORT int cuGraphInstantiateWithParams(void** instance, void* graph, CUDA_GRAPH_INSTANTIATE_PARAMS* parameters) {
    return call("cuGraphInstantiateWithParams", Needs::CONTEXT, [&] {
        parameters->errorNode = nullptr;
        parameters->result = 0;
        return instantiate(instance, graph);
    });
}

EXPORT int cuGraphUpload(void*, void*) {
    return SUCCESS;
}

EXPORT int cuGraphLaunch(void* handle, void* stream) {
    return call("cuGraphLaunch", Needs::CONTEXT, [&] {
        if (!instances().count((GraphInstance*)handle))
            return refuse(INVALID_HANDLE, "%p is not a graph instance", handle);
        auto* i = (GraphInstance*)handle;
        return enqueueGraph(stream, i->operations, i->steps, i->lanes);
    });
}

EXPORT int cuGraphExecDestroy(void* handle) {
    return call("cuGraphExecDestroy", Needs::RELEASE, [&] {
        if (!instances().erase((GraphInstance*)handle))
            return refuse(INVALID_HANDLE, "%p is not a graph instance", handle);
        removeLanes(((GraphInstance*)handle)->lanes);
        delete (GraphInstance*)handle;
        return (int)SUCCESS;
    });
}

EXPORT int cuGraphDestroy(void* handle) {
    return call("cuGraphDestroy", Needs::RELEASE, [&] {
        if (!graphs().erase((Graph*)handle)) return refuse(INVALID_HANDLE, "%p is not a graph", handle);
        delete (Graph*)handle;
        return (int)SUCCESS;
    });
}

// ---- looking into a graph

EXPORT int cuGraphGetNodes(void* handle, void** nodes, size_t* count) {
    return call("cuGraphGetNodes", Needs::CONTEXT, [&] {
        const Graph* g = graphOf(handle);
        if (!g) return refuse(INVALID_HANDLE, "%p is not a graph", handle);
        if (nodes) {
            for (size_t i = 0; i < *count; i++) nodes[i] = i < g->nodes.size() ? g->nodes[i].get() : nullptr;
        }
        if (!nodes || *count > g->nodes.size()) *count = g->nodes.size();
        return (int)SUCCESS;
    });
}

EXPORT int cuGraphNodeGetType(void* handle, int* type) {
    return call("cuGraphNodeGetType", Needs::CONTEXT, [&] {
        const Operation* node = nodeOf(handle);
        if (!node) return refuse(INVALID_HANDLE, "%p is not a node", handle);
        *type = (int)node->kind;
        return (int)SUCCESS;
    });
}

// As in cuda.h.
struct CUDA_KERNEL_NODE_PARAMS {
    void* function;
    unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
    void **parameters, **extra;
    void *kernel, *context;
};

EXPORT int cuGraphKernelNodeGetParams_v2(void* handle, CUDA_KERNEL_NODE_PARAMS* to) {
    return call("cuGraphKernelNodeGetParams_v2", Needs::CONTEXT, [&] {
        const Operation* node = nodeOf(handle);
        if (!node || !node->kernel) return refuse(INVALID_HANDLE, "%p is not a kernel node", handle);
        KernelWork& k = *node->kernel;
        *to = {k.function,          k.grid.x, k.grid.y, k.grid.z, k.block.x, k.block.y, k.block.z, k.sharedBytes,
               k.parameters.data(), nullptr,  nullptr,  nullptr};
        return (int)SUCCESS;
    });
}

EXPORT int cuGraphExecKernelNodeSetParams_v2(void* instance, void* node, const CUDA_KERNEL_NODE_PARAMS* from) {
    return call("cuGraphExecKernelNodeSetParams_v2", Needs::CONTEXT, [&] {
        auto* i = (GraphInstance*)instance;
        if (!instances().count(i)) return refuse(INVALID_HANDLE, "%p is not a graph instance", instance);
        for (size_t n = 0; n < i->nodes.size(); n++) {
            if (i->nodes[n] != node || !i->operations[n]->kernel) continue;
            KernelWork& k = *i->operations[n]->kernel;
            if (from->function != k.function) return refuse(NOT_SUPPORTED, "another function for a node");
            KernelWork changed = k;
            changed.grid = {from->gridX, from->gridY, from->gridZ};
            changed.block = {from->blockX, from->blockY, from->blockZ};
            changed.sharedBytes = from->sharedBytes;
            changed.copyParameters(from->parameters);
            i->operations[n] = std::make_shared<Operation>(kernelOperation(changed));
            return (int)SUCCESS;
        }
        return refuse(INVALID_HANDLE, "%p is not a kernel node of the instance", node);
    });
}
