/* Streams of other devices and contexts than the batch's own, and whose default streams are meant. */
#include <pthread.h>

#include "cuda_check.h"

static CUcontext own, foreign;
static vxf_sampler *sampler;
static truth *all;

/* A stream of any context uses the first batch, is late, and nobody uses the memory again before. */
static void late_user(vxf_device device, CUcontext context, CUstream stream, void (*release)(vxf_batch *)) {
    vxf_loader_options options = loader_options(device, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *first = next_batch(loader), *third, *second = next_batch(loader);
    comparison late, seen;
    uint64_t gate;
    OK(vxf_batch_wait(first, stream));
    OK(vxf_batch_record_stream(first, stream));
    gate = standin_gate(context, stream);
    compare_on(context, stream, first, all, 0, 0, &late);
    release(first);
    if (device == VXF_DEVICE_CUDA_HOST) {
        CHECK(standin_await_blocked("cuEventSynchronize"));
    } else {
        third = next_batch(loader);
        CHECK(standin_settle());
        CHECK_STATUS(vxf_batch_query(third), VXF_STATUS_NOT_READY);
    }
    CHECK(!late.ran);
    standin_open(gate);
    standin_finish(context, stream);
    CHECK(is_right(&late));
    if (device == VXF_DEVICE_CUDA_HOST) third = next_batch(loader);
    OK(vxf_batch_wait(third, (vxf_stream)-1));
    compare_on(context, stream, third, all, 2, 0, &seen);
    standin_finish(context, stream);
    CHECK(is_right(&seen));
    vxf_batch_release(second);
    vxf_batch_release(third);
    OK(vxf_loader_close(loader, -1));
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

/* A context that may go at any time is refused where its stream is named; the batch and its memory stay as they are. */
static void other_contexts(vxf_device device, int number) {
    vxf_loader_options options = loader_options(device, 0, 1);
    CUcontext other = standin_context(number);
    CUstream stream = standin_stream(other, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch = next_batch(loader);
    uint64_t retained = standin_calls("Retain", 0), made = standin_calls("Create", 0);
    int left;
    REFUSED(vxf_batch_wait(batch, stream), VXF_STATUS_ERR_ARGUMENT, "primary");
    REFUSED(vxf_batch_record_stream(batch, stream), VXF_STATUS_ERR_ARGUMENT, "primary");
    DRIVER(cuCtxPushCurrent_v2(other));
    if (device == VXF_DEVICE_CUDA_HOST) REFUSED(vxf_batch_wait(batch, NULL), VXF_STATUS_ERR_ARGUMENT, "primary");
    else OK(vxf_batch_wait(batch, NULL));
    DRIVER(cuCtxPopCurrent_v2(NULL));
    CHECK(standin_calls("Retain", 0) == retained && standin_calls("Create", 0) == made);
    vxf_batch_release(batch);
    for (left = BATCHES - 1; left > 0; left--) vxf_batch_release(next_batch(loader));
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

int main(void) {
    vxf_device devices[2] = {VXF_DEVICE_CUDA_HOST, VXF_DEVICE_CUDA};
    int k;
    own = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    /* Nobody uses the second device yet, and asking does not begin to. */
    for (k = 0; k < 4; k++) other_contexts(devices[k % 2], k / 2);
    foreign = context_of(1);
    for (k = 0; k < 2; k++) {
        late_user(devices[k], own, NULL, vxf_batch_release);
        late_user(devices[k], foreign, standin_stream(foreign, CU_STREAM_NON_BLOCKING), vxf_batch_release);
        late_user(devices[k], foreign, standin_stream(foreign, 0), by_another_thread);
    }
    DRIVER(cuCtxPushCurrent_v2(foreign));
    late_user(VXF_DEVICE_CUDA_HOST, foreign, NULL, vxf_batch_release);
    late_user(VXF_DEVICE_CUDA_HOST, foreign, CU_STREAM_LEGACY, by_another_thread);
    late_user(VXF_DEVICE_CUDA_HOST, foreign, CU_STREAM_PER_THREAD, vxf_batch_release);
    late_user(VXF_DEVICE_CUDA_HOST, foreign, CU_STREAM_PER_THREAD, by_another_thread);
    late_user(VXF_DEVICE_CUDA, own, NULL, vxf_batch_release);
    late_user(VXF_DEVICE_CUDA, own, CU_STREAM_PER_THREAD, vxf_batch_release);
    DRIVER(cuCtxPopCurrent_v2(NULL));
    CHECK(standin_unpopped(standin_thread()) == 0);
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
