/* Events. Each record is a generation; a wait is for the generation that was the last one when it was asked for. */
#include "inside.h"

struct CUevent_st events[EVENTS];

int is_event(CUevent event) {
    int known = event >= events && event < events + EVENTS && event->alive;
    if (!known) violation("thread %ld uses an event that is not there", standin_thread());
    return known;
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
    CUresult result = enter(AT_cuEventCreate, (standin_entry){0});
    int k;
    if (result == CUDA_SUCCESS && !(flags & CU_EVENT_DISABLE_TIMING)) violation("an event keeps the time");
    if (result == CUDA_SUCCESS) {
        for (k = 0; k < EVENTS && (events[k].alive || events[k].pending); k++) continue;
        if (k == EVENTS) return leave(CUDA_ERROR_OUT_OF_MEMORY);
        events[k] = (struct CUevent_st){.alive = 1, .context = current()};
        *event = &events[k];
    }
    return leave(result);
}

CUresult cuEventDestroy_v2(CUevent event) {
    CUresult result = enter(AT_cuEventDestroy_v2, (standin_entry){.event = event});
    if (result == CUDA_SUCCESS && !is_event(event)) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS) event->alive = 0;
    return leave(result);
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    CUresult result = enter(AT_cuEventRecord, (standin_entry){.event = event, .stream = stream});
    if (result == CUDA_SUCCESS && (!is_event(event) || !(stream = resolve(stream, current()))))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && event->context != stream->context) {
        violation("an event is recorded on a stream of another device");
        result = CUDA_ERROR_INVALID_HANDLE;
    }
    if (result == CUDA_SUCCESS) {
        operation what = {.function = AT_cuEventRecord, .action = DO_RECORD, .event = event};
        event->captured = stream->capture != CAPTURE_NONE;
        what.generation = event->captured ? event->recorded : ++event->recorded;
        result = enqueue(stream, what);
    }
    return leave(result);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    CUresult result = enter(AT_cuStreamWaitEvent, (standin_entry){.event = event, .stream = stream});
    if (result == CUDA_SUCCESS && flags) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && (!is_event(event) || !(stream = resolve(stream, current()))))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && !(stream->mine ? ignored_waits : ignored_retires)) {
        operation what = {.function = AT_cuStreamWaitEvent, .action = DO_WAIT, .event = event};
        what.generation = event->recorded;
        if (event->captured != (stream->capture != CAPTURE_NONE))
            result = break_capture(stream, CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "a wait crosses its border");
        else result = enqueue(stream, what);
    }
    return leave(result);
}

CUresult cuEventQuery(CUevent event) {
    CUresult result = enter(AT_cuEventQuery, (standin_entry){.event = event});
    if (result == CUDA_SUCCESS && !is_event(event)) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && event->captured) result = CUDA_ERROR_CAPTURED_EVENT;
    if (result == CUDA_SUCCESS && event->reached < event->recorded) result = CUDA_ERROR_NOT_READY;
    return leave(result);
}

CUresult cuEventSynchronize(CUevent event) {
    CUresult result = enter(AT_cuEventSynchronize, (standin_entry){.event = event});
    uint64_t generation;
    if (result == CUDA_SUCCESS && !is_event(event)) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && event->captured) result = CUDA_ERROR_CAPTURED_EVENT;
    if (result == CUDA_SUCCESS && !ignored_synchronizations) {
        generation = event->recorded;
        scripts[AT_cuEventSynchronize].blocked++;
        pthread_cond_broadcast(&standin_turn);
        while (event->reached < generation && !event->context->broken) pthread_cond_wait(&standin_turn, &standin_lock);
        scripts[AT_cuEventSynchronize].blocked--;
        result = event->context->broken;
    }
    return leave(result);
}
