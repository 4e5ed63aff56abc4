/* The default streams, which are no handles of anybody: NULL, the legacy one by its number, each thread's own. */
#include <pthread.h>

#include "cuda_check.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

/* One stream waits, is late, and its batch is released by whoever `release` is. */
static void late_user(CUstream stream, void (*release)(vxf_batch *)) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader;
    vxf_batch *first, *second, *third;
    comparison early, late;
    uint64_t gate;
    loader = begun_held(sampler, &options);
    first = next_batch(loader);
    OK(vxf_batch_wait(first, stream));
    compare_on(context, stream, first, all, 0, 1, &early);
    CHECK(standin_settle());
    standin_let(UPLOADS, STANDIN_ALL);
    gate = standin_gate(context, stream);
    compare_on(context, stream, first, all, 0, 0, &late);
    release(first);
    second = next_batch(loader);
    third = next_batch(loader);
    CHECK(standin_settle());
    CHECK(early.ran && !late.ran);
    standin_open(gate);
    standin_finish(context, stream);
    CHECK(is_right(&early) && is_right(&late));
    vxf_batch_release(second);
    vxf_batch_release(third);
    vxf_loader_free(loader);
}

static void *release_it(void *batch) {
    vxf_batch_release(batch);
    return NULL;
}

static void by_another_thread(vxf_batch *batch) {
    pthread_t thread;
    pthread_create(&thread, NULL, release_it, batch);
    pthread_join(thread, NULL);
}

struct user {
    vxf_batch *batch;
    comparison seen;
    uint64_t gate;
    pthread_barrier_t late, over;
};

/* Uses a batch on this thread's own stream, and lives until that is done. */
static void *use_it(void *argument) {
    struct user *own = argument;
    OK(vxf_batch_wait(own->batch, CU_STREAM_PER_THREAD));
    own->gate = standin_gate(context, CU_STREAM_PER_THREAD);
    compare_on(context, CU_STREAM_PER_THREAD, own->batch, all, 0, 0, &own->seen);
    vxf_batch_release(own->batch);
    pthread_barrier_wait(&own->late);
    pthread_barrier_wait(&own->over);
    standin_finish(context, CU_STREAM_PER_THREAD);
    return NULL;
}

/* The same number is another stream on every thread. */
static void two_threads_with_own_streams(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *first = next_batch(loader), *second, *third;
    struct user other;
    comparison seen;
    pthread_t thread;
    pthread_barrier_init(&other.late, NULL, 2);
    pthread_barrier_init(&other.over, NULL, 2);
    OK(vxf_batch_wait(first, CU_STREAM_PER_THREAD));
    compare_on(context, CU_STREAM_PER_THREAD, first, all, 0, 0, &seen);
    OK(vxf_batch_retain(first, &other.batch));
    pthread_create(&thread, NULL, use_it, &other);
    pthread_barrier_wait(&other.late);
    vxf_batch_release(first);
    second = next_batch(loader);
    third = next_batch(loader);
    CHECK(standin_settle());
    standin_open(other.gate);
    pthread_barrier_wait(&other.over);
    pthread_join(thread, NULL);
    standin_finish(context, CU_STREAM_PER_THREAD);
    CHECK(is_right(&seen) && is_right(&other.seen));
    vxf_batch_release(second);
    vxf_batch_release(third);
    vxf_loader_free(loader);
}

int main(void) {
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    late_user(NULL, vxf_batch_release);
    late_user(CU_STREAM_LEGACY, vxf_batch_release);
    late_user(CU_STREAM_PER_THREAD, vxf_batch_release);
    late_user(NULL, by_another_thread);
    late_user(standin_stream(context, CU_STREAM_NON_BLOCKING), by_another_thread);
    late_user(CU_STREAM_PER_THREAD, by_another_thread);
    two_threads_with_own_streams();
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
