/*
 * Long work with a progress: it runs on a thread of its own, which calls nothing of the host's. Each report waits for
 * the host's answer, so that the host's function is called on the host's thread, outside of the library, where it may
 * fail, be interrupted, or use everything.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

/* For clock_gettime, where the compiler keeps to C99. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "face.h"

typedef struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    handle *dataset;
    /* NULL for a preload. */
    handle *writer;
    uint32_t threads;
    /* Whether reports wait for an answer. */
    bool has_listener;
    bool is_waiting;
    bool is_ended;
    bool is_stopped;
    uint64_t done;
    uint64_t total;
    failure result;
} job;

static int32_t report(uint64_t done, uint64_t total, void *user_data)
{
    job *own = user_data;
    int32_t stop;
    pthread_mutex_lock(&own->lock);
    own->done = done;
    own->total = total;
    own->is_waiting = own->has_listener;
    pthread_cond_broadcast(&own->changed);
    while (own->is_waiting && !own->is_stopped)
        pthread_cond_wait(&own->changed, &own->lock);
    own->is_waiting = false;
    stop = own->is_stopped ? 1 : 0;
    pthread_mutex_unlock(&own->lock);
    return stop;
}

static void *work(void *user_data)
{
    job *own = user_data;
    failure result = {0};
    vxf_status status = own->writer == NULL
                            ? vxf_dataset_preload(own->dataset->object, own->threads, report, own)
                            : vxf_writer_add_dataset(own->writer->object, own->dataset->object, report, own);
    if (status < 0)
        failure_read(status, &result);
    result.info.status = status;
    pthread_mutex_lock(&own->lock);
    own->result = result;
    own->is_ended = true;
    pthread_cond_broadcast(&own->changed);
    pthread_mutex_unlock(&own->lock);
    return NULL;
}

static void begin(handle *dataset, handle *writer, uint32_t threads, bool has_listener, mxArray *number)
{
    handle *place = handle_reserve();
    job *made = calloc(1, sizeof *made);
    if (made == NULL)
        fail("memory", "there is no room for one more object: let go of some");
    made->dataset = dataset;
    made->writer = writer;
    made->threads = threads;
    made->has_listener = has_listener;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    if (pthread_create(&made->thread, NULL, work, made) != 0) {
        pthread_cond_destroy(&made->changed);
        pthread_mutex_destroy(&made->lock);
        free(made);
        fail("memory", "a thread for the work could not be had");
    }
    handle_use(dataset);
    if (writer != NULL)
        handle_use(writer);
    handle_fill(place, KIND_JOB, made, number);
}

void job_free(void *object)
{
    job *own = object;
    pthread_mutex_lock(&own->lock);
    own->is_stopped = true;
    pthread_cond_broadcast(&own->changed);
    pthread_mutex_unlock(&own->lock);
    pthread_join(own->thread, NULL);
    pthread_cond_destroy(&own->changed);
    pthread_mutex_destroy(&own->lock);
    handle_unuse(own->dataset);
    if (own->writer != NULL)
        handle_unuse(own->writer);
    free(own);
}

static void preload(mxArray *out[], const mxArray *const in[])
{
    handle *dataset = handle_of(in[0], KIND_DATASET);
    uint32_t threads = (uint32_t)unsigned_of(in[1], "threads", 0, UINT32_MAX);
    out[0] = handle_number();
    begin(dataset, NULL, threads, unsigned_of(in[2], "has_listener", 0, 1) == 1, out[0]);
}

static void add_dataset(mxArray *out[], const mxArray *const in[])
{
    handle *writer = handle_of(in[0], KIND_WRITER);
    handle *dataset = handle_of(in[1], KIND_DATASET);
    out[0] = handle_number();
    begin(dataset, writer, 0, unsigned_of(in[2], "has_listener", 0, 1) == 1, out[0]);
}

/* Waits for a report or the end, and gives a word with the numbers reported last. */
static void wait_for(mxArray *out[], const mxArray *const in[])
{
    job *own = handle_of(in[0], KIND_JOB)->object;
    int64_t timeout_ns = nanoseconds_of(in[1], "timeout");
    const char *state;
    double done, total;
    struct timespec end;
    int result = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)(timeout_ns / 1000000000);
    end.tv_nsec += (long)(timeout_ns % 1000000000);
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&own->lock);
    while (!own->is_waiting && !own->is_ended && result == 0)
        result = pthread_cond_timedwait(&own->changed, &own->lock, &end);
    state = own->is_waiting ? "waiting" : own->is_ended ? "ended" : "running";
    done = (double)own->done;
    total = (double)own->total;
    pthread_mutex_unlock(&own->lock);
    out[0] = text_given(state);
    out[1] = mxCreateDoubleScalar(done);
    out[2] = mxCreateDoubleScalar(total);
}

static void answer(mxArray *out[], const mxArray *const in[])
{
    job *own = handle_of(in[0], KIND_JOB)->object;
    bool stop = unsigned_of(in[1], "stop", 0, 1) == 1;
    (void)out;
    pthread_mutex_lock(&own->lock);
    own->is_stopped = own->is_stopped || stop;
    own->is_waiting = false;
    pthread_cond_broadcast(&own->changed);
    pthread_mutex_unlock(&own->lock);
}

/* Whether work that has ended came to its end; raises what it failed with. */
static void result(mxArray *out[], const mxArray *const in[])
{
    job *own = handle_of(in[0], KIND_JOB)->object;
    static failure failed;
    bool is_ended;
    pthread_mutex_lock(&own->lock);
    is_ended = own->is_ended;
    failed = own->result;
    pthread_mutex_unlock(&own->lock);
    if (!is_ended)
        fail("state", "the work has not ended");
    if (failed.info.status < 0)
        failure_raise(&failed);
    out[0] = mxCreateLogicalScalar(failed.info.status == VXF_STATUS_OK);
}

const command job_commands[] = {
    {"dataset_preload", preload, 3, 1}, {"writer_add_dataset", add_dataset, 3, 1},
    {"job_wait", wait_for, 2, 3},       {"job_answer", answer, 2, 0},
    {"job_result", result, 1, 1},       {NULL, NULL, 0, 0},
};
