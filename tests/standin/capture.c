/* Captures of streams into graphs: what they forbid to whom, and what is told of them. What is captured is lost. */
#include <stdlib.h>
#include <string.h>

#include "inside.h"

/* What a capture gives; nobody can run it. */
struct CUgraph_st {
    char unused;
};

/* What the thread may do while others capture. */
static __thread int own_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

/* What allocates, frees, asks or waits may not be called during a capture; the driver does not say of all of these. */
static int is_unsafe(const char *name) {
    static const char *const parts[] = {"Alloc", "Free", "Register", "Query", "Synchronize", "Module", "Create", "Destroy"};
    size_t k;
    for (k = 0; k < sizeof parts / sizeof parts[0]; k++)
        if (strstr(name, parts[k])) return 1;
    return 0;
}

/* Whether a context has a capture of a stream without these flags. */
int is_capturing(CUcontext context, unsigned without) {
    int k;
    for (k = 0; k < STREAMS; k++)
        if (streams[k].alive && streams[k].capture && streams[k].context == context && !(streams[k].flags & without))
            return 1;
    return 0;
}

/* Breaks the capture of a stream, or all captures. */
CUresult break_capture(CUstream stream, CUresult result, const char *what) {
    int k;
    violation("thread %ld breaks a capture: %s", standin_thread(), what);
    for (k = 0; k < STREAMS; k++)
        if (streams[k].capture && (!stream || stream == &streams[k])) streams[k].capture = CAPTURE_BROKEN;
    return result;
}

CUresult forbidden_by_capture(int function) {
    int k;
    if (own_mode == CU_STREAM_CAPTURE_MODE_RELAXED || !is_unsafe(function_names[function])) return CUDA_SUCCESS;
    for (k = 0; k < STREAMS; k++) {
        CUstream stream = &streams[k];
        int is_own = stream->capturer == standin_thread();
        if (!stream->alive || !stream->capture || stream->capture_mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
        if (!is_own && (own_mode || stream->capture_mode)) continue;
        return break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, function_names[function]);
    }
    return CUDA_SUCCESS;
}

CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    CUresult result = enter(AT_cuThreadExchangeStreamCaptureMode, (standin_entry){0});
    if (result == CUDA_SUCCESS && (*mode < 0 || *mode > CU_STREAM_CAPTURE_MODE_RELAXED))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        int before = own_mode;
        if (!ignored_modes) own_mode = *mode;
        *mode = before;
    }
    return leave(result);
}

static void begin(CUstream stream, int mode) {
    stream->capture = CAPTURE_ACTIVE;
    stream->capture_mode = mode;
    stream->capturer = standin_thread();
    stream->kept = 0;
}

/* How many operations were kept; -1 where the capture was broken. */
static long end(CUstream stream) {
    long kept = stream->capture == CAPTURE_ACTIVE ? stream->kept : -1;
    stream->capture = CAPTURE_NONE;
    return kept;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    CUresult result = enter(AT_cuStreamBeginCapture_v2, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && (mode < 0 || mode > CU_STREAM_CAPTURE_MODE_RELAXED)) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && stream == stream->context->legacy) result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (result == CUDA_SUCCESS && stream->capture) result = CUDA_ERROR_ILLEGAL_STATE;
    if (result == CUDA_SUCCESS) begin(stream, mode);
    return leave(result);
}

/* A broken capture ends too, without a graph. */
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    CUresult result = enter(AT_cuStreamEndCapture, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && !stream->capture) result = CUDA_ERROR_ILLEGAL_STATE;
    if (result == CUDA_SUCCESS && stream->capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
        stream->capturer != standin_thread())
        result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (result == CUDA_SUCCESS) {
        int is_broken = end(stream) < 0;
        *graph = is_broken ? NULL : malloc(sizeof **graph);
        if (!*graph) result = is_broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_OUT_OF_MEMORY;
    }
    return leave(result);
}

CUresult cuGraphDestroy(CUgraph graph) {
    CUresult result = enter(AT_cuGraphDestroy, (standin_entry){0});
    if (result == CUDA_SUCCESS && !graph) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) free(graph);
    return leave(result);
}

CUresult cuStreamIsCapturing(CUstream stream, int *status) {
    CUresult result = enter(AT_cuStreamIsCapturing, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && stream == stream->context->legacy &&
        is_capturing(stream->context, CU_STREAM_NON_BLOCKING))
        result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (result == CUDA_SUCCESS) *status = stream->capture;
    return leave(result);
}

void standin_capture(CUstream stream, int mode) {
    pthread_mutex_lock(&standin_lock);
    begin(stream, mode);
    pthread_mutex_unlock(&standin_lock);
}

long standin_captured(CUstream stream) {
    long kept;
    pthread_mutex_lock(&standin_lock);
    kept = end(stream);
    pthread_mutex_unlock(&standin_lock);
    return kept;
}
