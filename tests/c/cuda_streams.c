/* Every kind of stream, every way to wait, and memory that is used again only when all streams are done. */
#include <pthread.h>

#include "cuda_check.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

/* Three streams use a batch and end in every order: the last one of each frees its memory, no earlier one. */
static void reuse_waits_for_all(CUstream one, CUstream two, CUstream three) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    CUstream streams[3];
    int order, k;
    streams[0] = one, streams[1] = two, streams[2] = three;
    for (order = 0; order < 6; order++) {
        vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
        vxf_loader *loader = begun(sampler, &options);
        vxf_batch *first = next_batch(loader), *second, *third;
        comparison seen[3], last;
        uint64_t gates[3], runs;
        OK(vxf_batch_wait(first, one));
        OK(vxf_batch_record_stream(first, two));
        OK(vxf_batch_wait(first, three));
        OK(vxf_batch_wait(first, two));
        for (k = 0; k < 3; k++) {
            gates[k] = standin_gate(context, streams[k]);
            compare_on(context, streams[k], first, all, 0, k % CATEGORIES, &seen[k]);
        }
        vxf_batch_release(first);
        second = next_batch(loader);
        third = next_batch(loader);
        CHECK(standin_settle());
        runs = standin_runs(UPLOADS);
        for (k = 0; k < 3; k++) {
            CHECK(standin_settle() && standin_runs(UPLOADS) == runs);
            CHECK_STATUS(vxf_batch_query(third), VXF_STATUS_NOT_READY);
            standin_open(gates[orders[order][k]]);
        }
        for (k = 0; k < 3; k++) standin_finish(context, streams[k]);
        for (k = 0; k < 3; k++) CHECK(is_right(&seen[k]));
        OK(vxf_batch_wait(third, one));
        compare_on(context, one, third, all, 2, 0, &last);
        standin_finish(context, one);
        CHECK(is_right(&last));
        vxf_batch_release(third);
        vxf_batch_release(second);
        vxf_loader_free(loader);
    }
}

/* More streams than anybody prepares for. */
static void many_streams(void) {
    enum { MANY = 20 };
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *first = next_batch(loader), *kept;
    CUstream streams[MANY];
    comparison seen[MANY];
    uint64_t gates[MANY], runs;
    int k;
    for (k = 0; k < MANY; k++) {
        streams[k] = standin_stream(context, k % 2 ? CU_STREAM_NON_BLOCKING : 0);
        OK(vxf_batch_wait(first, streams[k]));
        gates[k] = standin_gate(context, streams[k]);
        compare_on(context, streams[k], first, all, 0, 0, &seen[k]);
    }
    vxf_batch_release(first);
    kept = next_batch(loader);
    vxf_batch_release(next_batch(loader));
    CHECK(standin_settle());
    runs = standin_runs(UPLOADS);
    for (k = MANY - 1; k >= 0; k--) {
        CHECK(standin_settle() && standin_runs(UPLOADS) == runs);
        standin_open(gates[k]);
    }
    for (k = 0; k < MANY; k++) standin_finish(context, streams[k]);
    for (k = 0; k < MANY; k++) CHECK(is_right(&seen[k]));
    vxf_batch_release(kept);
    vxf_loader_free(loader);
}

static void *let_when_waited_for(void *calls) {
    CHECK(standin_await_calls("Synchronize", *(uint64_t *)calls + 1));
    standin_let(UPLOADS, STANDIN_ALL);
    return NULL;
}

/* Waiting on the host returns when the voxels are there, and not before. */
static void the_host_waits_where_asked(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    uint64_t calls;
    vxf_loader *loader;
    vxf_batch *batch;
    pthread_t thread;
    loader = begun_held(sampler, &options);
    batch = next_batch(loader);
    CHECK_STATUS(vxf_batch_query(batch), VXF_STATUS_NOT_READY);
    calls = standin_calls("Synchronize", 0);
    pthread_create(&thread, NULL, let_when_waited_for, &calls);
    OK(vxf_batch_wait(batch, (vxf_stream)-1));
    CHECK(memcmp(tensor_of(batch, 0).data, all->bytes[0][0], all->len[0]) == 0);
    CHECK(memcmp(tensor_of(batch, 1).data, all->bytes[0][1], all->len[1]) == 0);
    OK(vxf_batch_query(batch));
    OK(vxf_batch_record_stream(batch, (vxf_stream)-1));
    pthread_join(thread, NULL);
    vxf_batch_release(batch);
    vxf_loader_free(loader);
}

/* Who waits for the event on their own, and who copies to the host. */
static void events_and_copies(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader;
    vxf_batch *batch;
    vxf_tensor tensor, host;
    comparison seen;
    void *event = NULL, *copy;
    loader = begun_held(sampler, &options);
    batch = next_batch(loader);
    OK(vxf_batch_ready_event(batch, &event));
    CHECK(event != NULL);
    DRIVER(cuCtxPushCurrent_v2(context));
    CHECK(cuEventQuery(event) == CUDA_ERROR_NOT_READY);
    DRIVER(cuStreamWaitEvent(stream, event, 0));
    DRIVER(cuCtxPopCurrent_v2(NULL));
    OK(vxf_batch_record_stream(batch, stream));
    compare_on(context, stream, batch, all, 0, 1, &seen);
    CHECK(standin_settle() && !seen.ran);
    standin_let(UPLOADS, STANDIN_ALL);
    standin_finish(context, stream);
    CHECK(is_right(&seen));
    tensor = tensor_of(batch, 0);
    CHECK(tensor.device == VXF_DEVICE_CUDA && tensor.device_id == 0);
    copy = malloc(all->len[0]);
    host = host_tensor(tensor.dtype, copy, tensor.ndim, tensor.shape);
    OK(vxf_batch_copy_to(batch, "images", &host));
    CHECK(memcmp(copy, all->bytes[0][0], all->len[0]) == 0);
    CHECK(vxf_batch_copy_to(batch, "labels", &host) < 0);
    free(copy);
    vxf_batch_release(batch);
    vxf_loader_free(loader);
}

/* In host memory there is nothing to wait for, and everything may be asked. */
static void host_batches_are_there(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch = next_batch(loader);
    uint64_t calls = standin_calls("cu", 0);
    void *event = NULL;
    OK(vxf_batch_wait(batch, NULL));
    OK(vxf_batch_wait(batch, (vxf_stream)-1));
    OK(vxf_batch_record_stream(batch, NULL));
    OK(vxf_batch_query(batch));
    CHECK_STATUS(vxf_batch_ready_event(batch, &event), VXF_STATUS_ERR_UNSUPPORTED);
    vxf_batch_release(batch);
    vxf_loader_free(loader);
    CHECK(standin_calls("cu", 0) == calls);
}

int main(void) {
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    host_batches_are_there();
    reuse_waits_for_all(standin_stream(context, CU_STREAM_NON_BLOCKING), standin_stream(context, 0),
                        standin_stream(context, CU_STREAM_NON_BLOCKING));
    reuse_waits_for_all(standin_stream(context, CU_STREAM_NON_BLOCKING), CU_STREAM_PER_THREAD,
                        standin_stream(context, CU_STREAM_NON_BLOCKING));
    many_streams();
    the_host_waits_where_asked();
    events_and_copies();
    /* The driver spins where it waits for a stream; an event is slept for. */
    CHECK(standin_calls("cuStreamSynchronize", 0) == 0);
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
