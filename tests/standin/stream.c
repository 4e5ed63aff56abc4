/* Streams, each with a thread that runs its operations in order and at their time. */
#include <stdlib.h>
#include <string.h>

#include "inside.h"

struct CUstream_st streams[STREAMS];
__thread CUcontext running;

static uint64_t last_number, last_gate;
static uint64_t open_gates[1024];

int is_idle(CUstream stream) { return !stream->first && !stream->busy; }

static int is_open(uint64_t gate) { return gate < 1024 && open_gates[gate]; }

/* Work on the legacy stream waits for what was enqueued before it on every stream that is not non-blocking, and
 * such streams wait for it. */
static int is_behind(CUstream stream, const operation *operation) {
    int k;
    if (stream->flags & CU_STREAM_NON_BLOCKING) return 0;
    for (k = 0; k < STREAMS; k++) {
        CUstream other = &streams[k];
        if (!other->alive || other == stream || other->context != stream->context) continue;
        if (other->flags & CU_STREAM_NON_BLOCKING) continue;
        if (stream != stream->context->legacy && other != stream->context->legacy) continue;
        if (other->first && other->first->number < operation->number) return 1;
    }
    return 0;
}

/* Whether it came by a call of the driver, not from the test program. */
static int is_called(const operation *operation) {
    return operation->action != DO_WORK && operation->action != DO_GATE;
}

static int may_run(CUstream stream, const operation *operation) {
    const script *script = &scripts[operation->function];
    if (operation->action == DO_WAIT && operation->event->reached < operation->generation) return 0;
    if (operation->action == DO_GATE && !is_open(operation->gate)) return 0;
    if (script->held && script->reached >= script->allowed && is_called(operation)) return 0;
    return !is_behind(stream, operation);
}

int is_stuck(CUstream stream) { return stream->first && !stream->busy && !may_run(stream, stream->first); }

/* Whether something that is still to run, or runs, reads or writes this memory; of kernels that is not known. */
int is_wanted(uint64_t start, uint64_t bytes) {
    int k;
    for (k = 0; k < STREAMS; k++) {
        const operation *what;
        for (what = streams[k].alive ? streams[k].first : NULL; what; what = what->next) {
            if (what->action != DO_COPY && what->action != DO_SET) continue;
            if (what->to < start + bytes && start < what->to + what->bytes) return 1;
            if (what->action == DO_COPY && what->from < start + bytes && start < what->from + what->bytes) return 1;
        }
    }
    return 0;
}

static CUresult perform(operation *operation) {
    switch (operation->action) {
    case DO_COPY: memcpy((void *)operation->to, (const void *)operation->from, operation->bytes); break;
    case DO_SET: memset((void *)operation->to, operation->value, operation->bytes); break;
    case DO_WORK: operation->work(operation->argument); break;
    case DO_LAUNCH: return run_launch(operation->argument);
    default: break;
    }
    return CUDA_SUCCESS;
}

static void run_first(CUstream stream) {
    operation *operation = stream->first;
    script *script = &scripts[operation->function];
    CUresult result = stream->context->broken;
    int counts = is_called(operation);
    if (counts) script->reached++;
    if (!result && counts && script->run_failure && script->run >= script->run_fail_at) result = script->run_failure;
    if (!result) {
        stream->busy = 1;
        pthread_mutex_unlock(&standin_lock);
        result = perform(operation);
        pthread_mutex_lock(&standin_lock);
        stream->busy = 0;
    } else if (operation->action == DO_LAUNCH) {
        free(operation->argument);
    }
    if (result && !stream->context->broken) stream->context->broken = result;
    if (operation->event) operation->event->pending--;
    if (operation->action == DO_RECORD && operation->event->reached < operation->generation)
        operation->event->reached = operation->generation;
    if (counts) {
        script->run++;
        log_run(operation, stream, result);
    }
    stream->first = operation->next;
    if (!stream->first) stream->last = &stream->first;
    free(operation);
}

static void *run_stream(void *argument) {
    CUstream stream = argument;
    running = stream->context;
    pthread_mutex_lock(&standin_lock);
    while (stream->first || !stream->closing) {
        if (stream->first && (stream->context->broken || may_run(stream, stream->first))) {
            run_first(stream);
            pthread_cond_broadcast(&standin_turn);
        } else {
            pthread_cond_wait(&standin_turn, &standin_lock);
        }
    }
    stream->alive = 0;
    pthread_cond_broadcast(&standin_turn);
    pthread_mutex_unlock(&standin_lock);
    return NULL;
}

CUstream open_stream(CUcontext context, unsigned flags, long owner) {
    pthread_t thread;
    int k;
    for (k = 0; k < STREAMS && streams[k].alive; k++) continue;
    if (k == STREAMS) return NULL;
    memset(&streams[k], 0, sizeof streams[k]);
    streams[k].last = &streams[k].first;
    streams[k].context = context;
    streams[k].flags = flags;
    streams[k].owner = owner;
    streams[k].mine = owner != 0;
    if (pthread_create(&thread, NULL, run_stream, &streams[k])) return NULL;
    pthread_detach(thread);
    streams[k].alive = 1;
    return &streams[k];
}

/* The stream behind a handle: the default ones are those of the context, and of the calling thread. */
CUstream resolve(CUstream handle, CUcontext context) {
    int k;
    if (handle == CU_STREAM_PER_THREAD) {
        for (k = 0; k < STREAMS; k++)
            if (streams[k].alive && streams[k].owner == standin_thread() && streams[k].context == context)
                return &streams[k];
        return open_stream(context, 0, standin_thread());
    }
    if (handle == NULL || handle == CU_STREAM_LEGACY) {
        if (!context->legacy) context->legacy = open_stream(context, 0, -1);
        return context->legacy;
    }
    for (k = 0; k < STREAMS; k++)
        if (handle == &streams[k] && streams[k].alive && !streams[k].closing) return handle;
    violation("thread %ld uses a stream that is not there", standin_thread());
    return NULL;
}

CUresult enqueue(CUstream stream, operation what) {
    operation *own;
    if (stream == stream->context->legacy && is_capturing(stream->context, CU_STREAM_NON_BLOCKING))
        return break_capture(NULL, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the legacy stream is used");
    if (stream->capture == CAPTURE_BROKEN) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->capture == CAPTURE_ACTIVE) {
        stream->kept++;
        return CUDA_SUCCESS;
    }
    own = malloc(sizeof *own);
    if (!own) return CUDA_ERROR_OUT_OF_MEMORY;
    *own = what;
    own->next = NULL;
    own->number = ++last_number;
    if (own->event) own->event->pending++;
    *stream->last = own;
    stream->last = &own->next;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    CUresult result = enter(AT_cuStreamCreate, (standin_entry){0});
    if (result == CUDA_SUCCESS && flags > CU_STREAM_NON_BLOCKING) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        *stream = open_stream(current(), flags, 0);
        if (!*stream) result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return leave(result);
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
    CUresult result = enter(AT_cuStreamCreateWithPriority, (standin_entry){.bytes = (uint64_t)(int64_t)priority});
    if (result == CUDA_SUCCESS && flags > CU_STREAM_NON_BLOCKING) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        *stream = open_stream(current(), flags, 0);
        if (!*stream) result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return leave(result);
}

CUresult cuStreamGetCtx(CUstream stream, CUcontext *context) {
    CUresult result = enter(AT_cuStreamGetCtx, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS) *context = stream->context;
    return leave(result);
}

static int is_default(CUstream stream) { return (uintptr_t)stream <= 2; }

CUresult cuStreamDestroy_v2(CUstream stream) {
    CUresult result = enter(AT_cuStreamDestroy_v2, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && (is_default(stream) || !resolve(stream, current())))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS) stream->closing = 1;
    return leave(result);
}

CUresult cuStreamQuery(CUstream stream) {
    CUresult result = enter(AT_cuStreamQuery, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && stream->capture)
        result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "its stream is queried");
    if (result == CUDA_SUCCESS && !is_idle(stream)) result = CUDA_ERROR_NOT_READY;
    return leave(result);
}

/* Until the stream has run what is in it now; the waiting thread is in this function. */
static CUresult await_stream(CUstream stream, int function) {
    uint64_t until = last_number;
    scripts[function].blocked++;
    pthread_cond_broadcast(&standin_turn);
    while (stream->first && stream->first->number <= until) pthread_cond_wait(&standin_turn, &standin_lock);
    scripts[function].blocked--;
    return stream->context->broken;
}

CUresult cuStreamSynchronize(CUstream stream) {
    CUresult result = enter(AT_cuStreamSynchronize, (standin_entry){.stream = stream});
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && stream->capture)
        result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "its stream is waited for");
    if (result == CUDA_SUCCESS) result = await_stream(stream, AT_cuStreamSynchronize);
    return leave(result);
}

CUresult cuCtxSynchronize(void) {
    CUresult result = enter(AT_cuCtxSynchronize, (standin_entry){0});
    CUcontext context = current();
    int k;
    if (result == CUDA_SUCCESS && is_capturing(context, 0))
        result = break_capture(NULL, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "its context is waited for");
    for (k = 0; k < STREAMS && result == CUDA_SUCCESS; k++)
        if (streams[k].alive && streams[k].context == context) result = await_stream(&streams[k], AT_cuCtxSynchronize);
    return leave(result);
}

CUstream standin_stream(CUcontext context, unsigned flags) {
    CUstream stream;
    pthread_mutex_lock(&standin_lock);
    stream = open_stream(context, flags, 0);
    if (stream) stream->mine = 1;
    pthread_mutex_unlock(&standin_lock);
    return stream;
}

void standin_mine(CUstream stream) {
    pthread_mutex_lock(&standin_lock);
    stream->mine = 1;
    pthread_mutex_unlock(&standin_lock);
}

static void enqueue_own(CUcontext context, CUstream stream, operation what) {
    pthread_mutex_lock(&standin_lock);
    if (what.action == DO_GATE && what.gate >= 1024) abort();
    if (!(stream = resolve(stream, context)) || enqueue(stream, what)) abort();
    pthread_cond_broadcast(&standin_turn);
    pthread_mutex_unlock(&standin_lock);
}

void standin_do(CUcontext context, CUstream stream, void (*work)(void *), void *argument) {
    enqueue_own(context, stream, (operation){.action = DO_WORK, .work = work, .argument = argument});
}

void standin_finish(CUcontext context, CUstream stream) {
    pthread_mutex_lock(&standin_lock);
    if ((stream = resolve(stream, context))) await_stream(stream, AT_cuStreamSynchronize);
    pthread_cond_broadcast(&standin_turn);
    pthread_mutex_unlock(&standin_lock);
}

uint64_t standin_gate(CUcontext context, CUstream stream) {
    uint64_t gate = __atomic_add_fetch(&last_gate, 1, __ATOMIC_SEQ_CST);
    enqueue_own(context, stream, (operation){.action = DO_GATE, .gate = gate});
    return gate;
}

void standin_open(uint64_t gate) {
    pthread_mutex_lock(&standin_lock);
    open_gates[gate] = 1;
    pthread_cond_broadcast(&standin_turn);
    pthread_mutex_unlock(&standin_lock);
}
