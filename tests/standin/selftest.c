/* The stand-in itself: order in streams and between them, gates, failures, bounds, accounts. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

#define CHECK(condition)                                                   \
    do {                                                                   \
        if (!(condition)) {                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)
#define GIVES(call, expected) CHECK((call) == (expected))
#define OK(call) GIVES(call, CUDA_SUCCESS)

enum { BYTES = 4096 };

static const char KERNEL[] = ".version 6.0\n.visible .entry standin_fill(\n)\n{\n}\n";

static CUcontext context, other;
static unsigned char *pinned;
static CUdeviceptr memory;

static void before_anything(void) {
    CUdevice device;
    int count = 0, version = 0;
    OK(cuDriverGetVersion(&version));
    CHECK(version == 12020);
    GIVES(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
    OK(cuInit(0));
    OK(cuDeviceGetCount(&count));
    CHECK(count == 2);
    OK(cuDeviceGet(&device, 1));
    OK(cuDevicePrimaryCtxRetain(&other, device));
    GIVES(cuDeviceGet(&device, 2), CUDA_ERROR_INVALID_DEVICE);
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    GIVES(cuMemAlloc_v2(&memory, BYTES), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxPushCurrent_v2(context));
    CHECK(standin_unpopped(standin_thread()) == 1);
    OK(cuMemAlloc_v2(&memory, BYTES));
    OK(cuMemHostAlloc((void **)&pinned, BYTES, CU_MEMHOSTALLOC_PORTABLE));
}

/* A copy reads at its own time, and what waits for its event runs after it. */
static void order(void) {
    CUstream copies, work = standin_stream(context, CU_STREAM_NON_BLOCKING);
    CUevent event;
    unsigned char *seen;
    OK(cuStreamCreate(&copies, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuMemHostAlloc((void **)&seen, BYTES, CU_MEMHOSTALLOC_PORTABLE));
    OK(cuStreamWaitEvent(work, event, 0));
    standin_hold("cuMemcpyHtoDAsync_v2");
    memset(pinned, 1, BYTES);
    OK(cuMemcpyHtoDAsync_v2(memory, pinned, BYTES, copies));
    OK(cuEventRecord(event, copies));
    OK(cuStreamWaitEvent(work, event, 0));
    OK(cuMemcpyDtoHAsync_v2(seen, memory, BYTES, work));
    CHECK(standin_settle());
    GIVES(cuEventQuery(event), CUDA_ERROR_NOT_READY);
    GIVES(cuStreamQuery(work), CUDA_ERROR_NOT_READY);
    CHECK(seen[0] == 0xCD && standin_runs("cuMemcpy") == 0);
    memset(pinned, 2, BYTES);
    standin_let("cuMemcpyHtoDAsync_v2", 1);
    OK(cuStreamSynchronize(work));
    OK(cuEventQuery(event));
    CHECK(seen[0] == 2 && seen[BYTES - 1] == 2 && standin_runs("cuMemcpy") == 2);
    standin_let("cuMemcpyHtoDAsync_v2", STANDIN_ALL);
    OK(cuMemFreeHost(seen));
    OK(cuStreamDestroy_v2(copies));
    OK(cuStreamDestroy_v2(work));
    OK(cuEventDestroy_v2(event));
}

static void write_two(void *to) { *(int *)to = 2; }

/* The legacy stream is before and after the streams that block, and beside those that do not. */
static void defaults(void) {
    CUstream blocking = standin_stream(context, 0), beside = standin_stream(context, CU_STREAM_NON_BLOCKING);
    int legacy = 1, after = 1, own = 1, thread = 1;
    uint64_t gate = standin_gate(context, blocking);
    standin_do(context, NULL, write_two, &legacy);
    standin_do(context, CU_STREAM_PER_THREAD, write_two, &thread);
    standin_do(context, beside, write_two, &own);
    standin_finish(context, beside);
    CHECK(standin_settle());
    CHECK(own == 2 && legacy == 1 && thread == 1);
    GIVES(cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
    standin_do(context, blocking, write_two, &after);
    standin_open(gate);
    standin_finish(context, blocking);
    CHECK(legacy == 2 && after == 2);
    OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
    CHECK(thread == 2);
}

static void kernels(void) {
    struct { uint64_t to, count; uint32_t value, reserved; } fill = {memory, BYTES / 4, 7, 0};
    void *arguments[] = {&fill};
    CUmodule module;
    CUfunction function;
    GIVES(cuModuleLoadData(&module, "no module"), CUDA_ERROR_INVALID_IMAGE);
    OK(cuModuleLoadData(&module, KERNEL));
    GIVES(cuModuleGetFunction(&function, module, "standin"), CUDA_ERROR_NOT_FOUND);
    OK(cuModuleGetFunction(&function, module, "standin_fill"));
    OK(cuLaunchKernel(function, BYTES / 1024, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL));
    OK(cuStreamSynchronize(NULL));
    CHECK(((int *)memory)[BYTES / 4 - 1] == 7);
    GIVES(cuLaunchKernel(function, 1, 1, 1, 2048, 1, 1, 0, NULL, arguments, NULL), CUDA_ERROR_INVALID_VALUE);
}

static void bounds(void) {
    CUdeviceptr far;
    int ordinal = -1;
    GIVES(cuMemcpyHtoDAsync_v2(memory + 1, pinned, BYTES, NULL), CUDA_ERROR_INVALID_VALUE);
    GIVES(cuMemcpyHtoDAsync_v2(memory, pinned + 1, BYTES, NULL), CUDA_ERROR_INVALID_VALUE);
    GIVES(cuMemAlloc_v2(&far, (size_t)2 << 30), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuPointerGetAttribute(&ordinal, 9, memory + 5));
    CHECK(ordinal == 0);
    GIVES(cuPointerGetAttribute(&ordinal, 9, memory + BYTES), CUDA_ERROR_INVALID_VALUE);
    CHECK(standin_violation(0) == NULL);
    OK(cuMemcpyHtoDAsync_v2(memory, "unpinned", 8, NULL));
    OK(cuStreamSynchronize(NULL));
    CHECK(strstr(standin_violation(0), "not pinned") && !standin_violation(1));
    OK(cuCtxPushCurrent_v2(other));
    OK(cuMemAlloc_v2(&far, BYTES));
    GIVES(cuMemcpyHtoDAsync_v2(memory, pinned, 8, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK(strstr(standin_violation(1), "of another"));
    OK(cuMemFree_v2(far));
    OK(cuCtxPopCurrent_v2(NULL));
}

static void *end_elsewhere(void *stream) {
    CUgraph made;
    OK(cuCtxPushCurrent_v2(context));
    GIVES(cuStreamEndCapture(stream, &made), CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    OK(cuCtxPopCurrent_v2(NULL));
    return NULL;
}

/* What a capture forbids, whom, and what becomes of work. */
static void captures(void) {
    CUstream graph = standin_stream(context, CU_STREAM_NON_BLOCKING), blocking = standin_stream(context, 0);
    CUcontext own = NULL;
    CUevent event;
    CUgraph made;
    CUmodule module;
    int status = 7, mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    uint64_t runs = standin_runs("cuMemset"), known = 0;
    pthread_t thread;
    int k;
    while (standin_violation(known)) known++;
    OK(cuStreamGetCtx(graph, &own));
    CHECK(own == context);
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    standin_capture(graph, CU_STREAM_CAPTURE_MODE_GLOBAL);
    OK(cuStreamIsCapturing(graph, &status));
    CHECK(status == 1);
    OK(cuMemsetD8Async(memory, 1, 4, graph));
    OK(cuEventRecord(event, graph));
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    CHECK(mode == CU_STREAM_CAPTURE_MODE_GLOBAL && !standin_violation(known));
    GIVES(cuEventQuery(event), CUDA_ERROR_CAPTURED_EVENT);
    CHECK(standin_captured(graph) == 2 && standin_settle() && standin_runs("cuMemset") == runs);
    standin_capture(blocking, CU_STREAM_CAPTURE_MODE_GLOBAL);
    GIVES(cuStreamIsCapturing(NULL, &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    CHECK(!standin_violation(known));
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    GIVES(cuEventQuery(event), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK(standin_captured(blocking) == -1 && strstr(standin_violation(known), "cuEventQuery"));
    OK(cuEventRecord(event, graph));
    OK(cuEventSynchronize(event));
    standin_capture(graph, CU_STREAM_CAPTURE_MODE_RELAXED);
    OK(cuEventQuery(event));
    GIVES(cuStreamWaitEvent(graph, event, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    CHECK(standin_captured(graph) == -1);
    OK(cuCtxSynchronize());
    GIVES(cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    GIVES(cuStreamBeginCapture_v2(graph, 3), CUDA_ERROR_INVALID_VALUE);
    GIVES(cuStreamEndCapture(graph, &made), CUDA_ERROR_ILLEGAL_STATE);
    for (k = 0; k < 3; k++) {
        OK(cuStreamBeginCapture_v2(graph, CU_STREAM_CAPTURE_MODE_GLOBAL));
        GIVES(cuStreamBeginCapture_v2(graph, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
        OK(cuMemsetD8Async(memory, 1, 4, graph));
        pthread_create(&thread, NULL, end_elsewhere, graph);
        pthread_join(thread, NULL);
        if (k == 1) GIVES(cuModuleLoadData(&module, KERNEL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        if (k == 2) GIVES(cuModuleLoadDataEx(&module, KERNEL, 0, NULL, NULL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        GIVES(cuStreamEndCapture(graph, &made), k ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS);
        if (k) CHECK(!made);
        else OK(cuGraphDestroy(made));
    }
    CHECK(standin_settle() && standin_runs("cuMemset") == runs);
    OK(cuEventDestroy_v2(event));
}

static void *on_another_thread(void *none) {
    CUcontext now = context;
    OK(cuCtxGetCurrent(&now));
    CHECK(now == NULL && standin_calls("cuCtx", standin_thread()) == 1);
    return none;
}

static void accounts(void) {
    pthread_t thread;
    standin_entry entry;
    uint64_t k, waits = 0;
    standin_held held = standin_holds();
    CHECK(held.device_blocks == 1 && held.device_bytes == BYTES && held.pinned_blocks == 1 && held.events == 0);
    pthread_create(&thread, NULL, on_another_thread, NULL);
    pthread_join(thread, NULL);
    CHECK(standin_calls("Synchronize", 0) == standin_calls("Synchronize", standin_thread()));
    for (k = 0; standin_log(k, &entry); k++) waits += !strcmp(entry.function, "cuStreamWaitEvent") && entry.ran;
    CHECK(waits == 2);
    standin_fail("cuMemAlloc_v2", 0, CUDA_ERROR_OUT_OF_MEMORY);
    GIVES(cuMemAlloc_v2(&memory, 1), CUDA_ERROR_OUT_OF_MEMORY);
}

/* An operation that fails takes its context with it, and no other. */
static void ruin(void) {
    CUevent event;
    const char *name;
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    standin_run_fail("cuMemcpyHtoDAsync_v2", 0, CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuMemcpyHtoDAsync_v2(memory, pinned, 8, NULL));
    GIVES(cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
    GIVES(cuEventQuery(event), CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &name));
    CHECK(!strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS"));
    OK(cuCtxPopCurrent_v2(NULL));
    GIVES(cuCtxPopCurrent_v2(NULL), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxPushCurrent_v2(other));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuCtxPopCurrent_v2(NULL));
    CHECK(standin_unpopped(0) == 0);
    standin_go();
    GIVES(cuEventDestroy_v2(event), CUDA_ERROR_DEINITIALIZED);
}

int main(void) {
    before_anything();
    order();
    defaults();
    kernels();
    bounds();
    accounts();
    captures();
    ruin();
    return 0;
}
