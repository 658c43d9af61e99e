// driver_stream.cpp: streams and events. A stream is a queue that runs when somebody waits for it.
#include "driver.h"

#include <pthread.h>
#include <chrono>
#include <string>

namespace emulator::driver {

static std::set<Stream*>& streams() {
    static auto* set = new std::set<Stream*>;
    return *set;
}
static std::set<Event*>& events() {
    static auto* set = new std::set<Event*>;
    return *set;
}
static Stream& defaultStream(int device) {
    static auto* all = [] {
        auto* array = new Stream[MAX_DEVICES];
        for (int i = 0; i < MAX_DEVICES; i++) array[i].device = i;
        return array;
    }();
    return all[device];
}

static bool isDefault(const void* handle) {
    return (uintptr_t)handle <= 2;  // 0, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD
}

Stream* streamOf(void* handle) {
    if (isDefault(handle)) return &defaultStream(currentDevice());
    return streams().count((Stream*)handle) ? (Stream*)handle : nullptr;
}

static Event* eventOf(void* handle) {
    return events().count((Event*)handle) ? (Event*)handle : nullptr;
}

static bool exists(Stream* stream) {
    if (streams().count(stream)) return true;
    const Stream* first = &defaultStream(0);
    return stream >= first && stream < first + MAX_DEVICES;
}

static std::vector<Stream*> streamsOf(int device) {
    std::vector<Stream*> of = {&defaultStream(device)};
    for (Stream* s : streams()) {
        if (s->device == device) of.push_back(s);
    }
    return of;
}

void forgetStreams(int device) {
    for (Stream* s : streamsOf(device)) {
        s->queue.clear();
        s->completed = s->enqueued;
        s->capture.reset();
    }
    for (Event* e : events()) {
        if (e->device != device) continue;
        *e = {};
        e->device = device;
    }
}

// ---- running

static uint64_t steps;  // of all threads: something was enqueued, or has run

// As far as the stream comes: NOT_READY when its next operation stands and waits.
static int advance(Stream& stream, uint64_t position) {
    while (!sticky(stream.device) && stream.completed < position && !stream.queue.empty()) {
        const auto [number, operation] = stream.queue.front();
        const int result = operation->run();
        if (result == NOT_READY) return NOT_READY;
        stream.queue.pop_front();
        stream.completed = number;
        steps++;
        if (result) setSticky(stream.device, result, findingText());
    }
    return sticky(stream.device);
}

// Devices work on by themselves: so does everything else while somebody waits for one that stands.
static void advanceAll() {
    for (int device = 0; device < config.devices; device++) {
        for (Stream* s : streamsOf(device)) advance(*s, s->enqueued);
    }
}

static int64_t now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

int runUntil(Stream& stream, uint64_t position) {
    int result = advance(stream, position);
    uint64_t seen = steps;
    for (int64_t since = now(); result == NOT_READY; result = advance(stream, position)) {
        advanceAll();
        if (seen != steps) {
            seen = steps;
            since = now();
        } else if (now() - since > config.timeoutSeconds * (int64_t)1000000000) {
            setSticky(stream.device, 702, "a stream waits for work on another one that has not come for " +
                                              std::to_string(config.timeoutSeconds) + " s");
        } else {
            rest();
        }
    }
    return result;
}

int runEverything() {
    const int device = currentDevice();
    for (Stream* s : streamsOf(device)) {
        if (exists(s)) runUntil(*s, s->enqueued);
    }
    return sticky(device);
}

static void push(Stream& stream, std::shared_ptr<Operation> operation) {
    stream.queue.emplace_back(++stream.enqueued, std::move(operation));
    steps++;
}


static void pushWait(Stream& stream, Stream& other, uint64_t position) {
    if (&stream == &other || other.completed >= position || stream.waitedFor[&other] >= position) return;
    stream.waitedFor[&other] = position;
    const auto wait = [&other, position] { return exists(&other) ? advance(other, position) : (int)SUCCESS; };
    push(stream, std::make_shared<Operation>(Operation{Kind::WAIT, wait, nullptr}));
}

int captureResult(const Stream& stream) {
    if (!stream.capture->invalidated) return SUCCESS;
    return refuse(STREAM_CAPTURE_INVALIDATED, "the capture has failed before");
}

static size_t branchOf(Capture& capture, Stream* stream) {
    if (stream == capture.origin) return 0;
    const auto [found, isNew] = capture.branches.try_emplace(stream, capture.graph->branches);
    capture.graph->branches += isNew;
    return found->second;
}

int enqueue(void* handle, Operation operation) {
    Stream* stream = streamOf(handle);
    if (!stream) return refuse(INVALID_HANDLE, "%p is not a stream", handle);
    auto shared = std::make_shared<Operation>(std::move(operation));
    if (stream->capture) {
        if (const int failed = captureResult(*stream)) return failed;
        Graph& graph = *stream->capture->graph;
        graph.steps.push_back({Step::What::NODE, branchOf(*stream->capture, stream), graph.nodes.size()});
        graph.nodes.push_back(std::move(shared));
        if (stream != stream->capture->origin) stream->capture->unjoined.insert(stream);
        return SUCCESS;
    }
    // The default stream waits for the blocking streams, and they for it.
    Stream& byDefault = defaultStream(stream->device);
    if (stream == &byDefault) {
        for (Stream* s : streamsOf(stream->device)) {
            if (s->blocking) pushWait(*stream, *s, s->enqueued);
        }
    } else if (stream->blocking) {
        pushWait(*stream, byDefault, byDefault.enqueued);
    }
    push(*stream, std::move(shared));
    return SUCCESS;
}

int enqueueGraph(void* handle, const std::vector<std::shared_ptr<Operation>>& operations,
                 const std::vector<Step>& steps, std::vector<Stream*>& lanes) {
    Stream* stream = streamOf(handle);
    if (!stream) return refuse(INVALID_HANDLE, "%p is not a stream", handle);
    std::map<size_t, std::pair<Stream*, uint64_t>> events;
    const auto lane = [&](size_t branch) {
        while (branch && lanes.size() < branch) {
            lanes.push_back(new Stream);
            lanes.back()->device = stream->device;
            lanes.back()->blocking = false;
            streams().insert(lanes.back());
        }
        return branch ? lanes[branch - 1] : stream;
    };
    for (const Step& step : steps) {
        Stream* on = stream->capture ? stream : lane(step.branch);  // inside a capture: one after the other
        if (stream->capture && step.what != Step::What::NODE) continue;
        if (step.what == Step::What::RECORD) {
            events[step.index] = {on, on->enqueued};
        } else if (step.what == Step::What::WAIT) {
            pushWait(*on, *events[step.index].first, events[step.index].second);
        } else if (const int failed = enqueue(on, *operations[step.index])) {
            return failed;
        }
    }
    return SUCCESS;
}

static int remove(Stream* stream) {
    const int result = runUntil(*stream, stream->enqueued);
    streams().erase(stream);
    for (int device = 0; device < MAX_DEVICES; device++) {  // another one may get its address
        for (Stream* s : streamsOf(device)) s->waitedFor.erase(stream);
    }
    delete stream;
    return result;
}

void removeLanes(const std::vector<Stream*>& lanes) {
    for (Stream* lane : lanes) remove(lane);
}

// ---- capture

static unsigned long thisThread() {
    return (unsigned long)pthread_self();
}

int forbidCapture(const char* why) {
    for (Stream* s : streams()) {
        if (!s->capture || s->capture->mode == 2) continue;                         // relaxed
        if (s->capture->mode == 1 && s->capture->thread != thisThread()) continue;  // thread-local
        s->capture->invalidated = true;
        return refuse(STREAM_CAPTURE_UNSUPPORTED, "%s while a stream is captured", why);
    }
    return SUCCESS;
}

static int waitFor(Stream& stream, uint64_t position) {
    if (stream.capture) {
        stream.capture->invalidated = true;
        return refuse(STREAM_CAPTURE_UNSUPPORTED, "waiting for a stream that is captured");
    }
    return runUntil(stream, position);
}

// One step of progress per query: a loop of queries ends.
static int query(Stream& stream, uint64_t position) {
    if (stream.completed < position && !stream.queue.empty()) {
        const int result = advance(stream, stream.queue.front().first);
        if (result == NOT_READY) advanceAll();
        else if (result) return result;
    }
    return stream.completed < position ? NOT_READY : SUCCESS;
}

}  // namespace emulator::driver

using namespace emulator::driver;

EXPORT int cuStreamCreateWithPriority(void** stream, unsigned flags, int) {
    return call("cuStreamCreate", Needs::CONTEXT, [&] {
        auto* s = new Stream;
        s->device = currentDevice();
        s->blocking = !(flags & 1);  // CU_STREAM_NON_BLOCKING
        streams().insert(s);
        *stream = s;
        return (int)SUCCESS;
    });
}
EXPORT int cuStreamCreate(void** stream, unsigned flags) {
    return cuStreamCreateWithPriority(stream, flags, 0);
}

EXPORT int cuStreamDestroy_v2(void* handle) {
    return call("cuStreamDestroy_v2", Needs::RELEASE, [&] {
        Stream* s = isDefault(handle) ? nullptr : streamOf(handle);
        if (!s) return refuse(INVALID_HANDLE, "%p is not a stream that can be destroyed", handle);
        const int result = remove(s);
        for (Event* e : events()) {
            if (e->stream == s) e->stream = nullptr;
        }
        return result;
    });
}

EXPORT int cuStreamSynchronize(void* handle) {
    return call("cuStreamSynchronize", Needs::CONTEXT, [&] {
        Stream* s = streamOf(handle);
        if (!s) return refuse(INVALID_HANDLE, "%p is not a stream", handle);
        return waitFor(*s, s->enqueued);
    });
}

EXPORT int cuStreamQuery(void* handle) {
    return call("cuStreamQuery", Needs::CONTEXT, [&] {
        Stream* s = streamOf(handle);
        if (!s) return refuse(INVALID_HANDLE, "%p is not a stream", handle);
        return query(*s, s->enqueued);
    });
}

EXPORT int cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    return call("cuLaunchHostFunc", Needs::CONTEXT, [&] {
        return enqueue(stream, {Kind::HOST,
                                [=] {
                                    function(data);
                                    return (int)SUCCESS;
                                },
                                nullptr});
    });
}

// For stand-ins of libraries whose work on several streams meets: as cuLaunchHostFunc, but `function` may answer 600, not
// ready. Then the stream stands there and asks again, while other threads and streams go on.
EXPORT int jacquard_emulator_launch(void* stream, int (*function)(void*), void* data) {
    return call("jacquard_emulator_launch", Needs::CONTEXT,
                [&] { return enqueue(stream, {Kind::HOST, [=] { return function(data); }, nullptr}); });
}

// ---- events

EXPORT int cuEventCreate(void** event, unsigned flags) {
    return call("cuEventCreate", Needs::CONTEXT, [&] {
        auto* e = new Event;
        e->device = currentDevice();
        e->timed = !(flags & 2);  // CU_EVENT_DISABLE_TIMING
        events().insert(e);
        *event = e;
        return (int)SUCCESS;
    });
}

EXPORT int cuEventDestroy_v2(void* handle) {
    return call("cuEventDestroy_v2", Needs::RELEASE, [&] {
        Event* e = eventOf(handle);
        if (!e) return refuse(INVALID_HANDLE, "%p is not an event", handle);
        // A record that has not run yet writes the time.
        if (e->stream && !e->captured) runUntil(*e->stream, e->position);
        events().erase(e);
        delete e;
        return (int)SUCCESS;
    });
}

EXPORT int cuEventRecord(void* handle, void* stream) {
    return call("cuEventRecord", Needs::CONTEXT, [&] {
        Event* e = eventOf(handle);
        Stream* s = streamOf(stream);
        if (!e || !s) return refuse(INVALID_HANDLE, "event %p, stream %p", handle, stream);
        if (e->device != s->device) {
            return refuse(INVALID_HANDLE, "an event of device %d, a stream of device %d", e->device, s->device);
        }
        if (s->capture) {
            e->captured = s->capture;
            e->capturedIn = s;
            e->mark = s->capture->graph->events++;
            s->capture->graph->steps.push_back({Step::What::RECORD, branchOf(*s->capture, s), e->mark});
            return captureResult(*s);
        }
        e->captured.reset();
        const int result = enqueue(stream, {Kind::RECORD,
                                            [e] {
                                                if (events().count(e)) e->nanoseconds = now();
                                                return (int)SUCCESS;
                                            },
                                            nullptr});
        e->stream = s;
        e->position = s->enqueued;
        return result;
    });
}

EXPORT int cuStreamWaitEvent(void* stream, void* handle, unsigned) {
    return call("cuStreamWaitEvent", Needs::CONTEXT, [&] {
        Event* e = eventOf(handle);
        Stream* s = streamOf(stream);
        if (!e || !s) return refuse(INVALID_HANDLE, "stream %p, event %p", stream, handle);
        if (e->captured) {  // the stream joins the capture, or the origin takes its work back
            if (s->capture && s->capture != e->captured) {
                return refuse(STREAM_CAPTURE_UNSUPPORTED, "an event of another capture");
            }
            s->capture = e->captured;
            if (s != e->capturedIn) {
                s->capture->graph->steps.push_back({Step::What::WAIT, branchOf(*s->capture, s), e->mark});
            }
            s->capture->unjoined.erase(e->capturedIn);
            if (s != s->capture->origin) s->capture->unjoined.insert(s);
            return (int)SUCCESS;
        }
        if (s->capture) {
            if (!e->stream) return (int)SUCCESS;
            s->capture->invalidated = true;
            return refuse(STREAM_CAPTURE_UNSUPPORTED, "a captured stream waits for an event from outside the capture");
        }
        if (e->stream) pushWait(*s, *e->stream, e->position);
        return (int)SUCCESS;
    });
}

EXPORT int cuEventSynchronize(void* handle) {
    return call("cuEventSynchronize", Needs::CONTEXT, [&] {
        Event* e = eventOf(handle);
        if (!e) return refuse(INVALID_HANDLE, "%p is not an event", handle);
        if (e->captured) return refuse(CAPTURED_EVENT, "the event was recorded in a capture");
        return e->stream ? waitFor(*e->stream, e->position) : (int)SUCCESS;
    });
}

EXPORT int cuEventQuery(void* handle) {
    return call("cuEventQuery", Needs::CONTEXT, [&] {
        Event* e = eventOf(handle);
        if (!e) return refuse(INVALID_HANDLE, "%p is not an event", handle);
        if (e->captured) return refuse(CAPTURED_EVENT, "the event was recorded in a capture");
        return e->stream ? query(*e->stream, e->position) : (int)SUCCESS;
    });
}

EXPORT int cuEventElapsedTime_v2(float* milliseconds, void* from, void* to) {
    return call("cuEventElapsedTime", Needs::CONTEXT, [&] {
        const Event *a = eventOf(from), *b = eventOf(to);
        if (!a || !b) return refuse(INVALID_HANDLE, "%p or %p is not an event", from, to);
        if (!a->stream || !b->stream || !a->timed || !b->timed) {
            return refuse(INVALID_HANDLE, "an event was not recorded, or without time");
        }
        if (a->stream->completed < a->position || b->stream->completed < b->position) return (int)NOT_READY;
        *milliseconds = (float)(b->nanoseconds - a->nanoseconds) * 1e-6f;
        return (int)SUCCESS;
    });
}
EXPORT int cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    return cuEventElapsedTime_v2(milliseconds, from, to);
}

// ---- capture

EXPORT int cuStreamBeginCapture_v2(void* handle, int mode) {
    return call("cuStreamBeginCapture_v2", Needs::CONTEXT, [&] {
        Stream* s = isDefault(handle) ? nullptr : streamOf(handle);
        if (!s) return refuse(STREAM_CAPTURE_UNSUPPORTED, "the default stream cannot be captured");
        if (mode < 0 || mode > 2) return refuse(INVALID_VALUE, "mode %d", mode);
        if (s->capture) return refuse(STREAM_CAPTURE_UNSUPPORTED, "the stream is captured already");
        s->capture = std::make_shared<Capture>();
        s->capture->origin = s;
        s->capture->mode = mode;
        s->capture->thread = thisThread();
        return (int)SUCCESS;
    });
}

EXPORT int cuStreamIsCapturing(void* handle, int* status) {
    return call("cuStreamIsCapturing", Needs::CONTEXT, [&] {
        const Stream* s = streamOf(handle);
        if (!s) return refuse(INVALID_HANDLE, "%p is not a stream", handle);
        *status = !s->capture ? 0 : s->capture->invalidated ? 2 : 1;
        return (int)SUCCESS;
    });
}

EXPORT int cuStreamEndCapture(void* handle, void** graph) {
    return call("cuStreamEndCapture", Needs::CONTEXT, [&] {
        *graph = nullptr;
        Stream* s = streamOf(handle);
        if (!s) return refuse(INVALID_HANDLE, "%p is not a stream", handle);
        if (!s->capture) return refuse(INVALID_VALUE, "the stream is not captured");
        if (s->capture->origin != s) return refuse(STREAM_CAPTURE_UNMATCHED, "the capture began in another stream");
        const std::shared_ptr<Capture> capture = s->capture;
        for (Stream* other : streams()) {
            if (other->capture == capture) other->capture.reset();
        }
        if (capture->invalidated)
            return refuse(STREAM_CAPTURE_INVALIDATED, "a call during the capture was not allowed");
        if (!capture->unjoined.empty()) {
            return refuse(STREAM_CAPTURE_UNJOINED, "the stream did not wait for all streams that joined the capture");
        }
        *graph = keepGraph(std::move(capture->graph));
        return (int)SUCCESS;
    });
}
