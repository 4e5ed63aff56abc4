/* What the caller's thread notices of a GPU: nothing. It waits for no device, allocates nothing, keeps its context. */
#include "cuda_check.h"

static CUcontext context, foreign;
static vxf_sampler *sampler;
static truth *all;

static void same_context(void) {
    CUcontext now = NULL;
    DRIVER(cuCtxGetCurrent(&now));
    CHECK(now == foreign && standin_unpopped(standin_thread()) == 1);
}

/* Three streams a batch, batches released at once, late, and by a second handle. */
static void a_loop(vxf_loader *loader, CUstream *streams, int batches) {
    vxf_batch *late = NULL, *again = NULL;
    vxf_status status;
    void *event;
    int number, k;
    for (number = 0; number < batches; number++) {
        vxf_batch *batch = next_batch(loader);
        same_context();
        for (k = 0; k < 3; k++) OK(vxf_batch_wait(batch, streams[k]));
        OK(vxf_batch_record_stream(batch, streams[number % 3]));
        OK(vxf_batch_ready_event(batch, &event));
        status = vxf_batch_query(batch);
        CHECK(status == VXF_STATUS_OK || status == VXF_STATUS_NOT_READY);
        same_context();
        OK(vxf_batch_retain(batch, &again));
        vxf_batch_release(batch);
        vxf_batch_release(late);
        late = again;
        same_context();
    }
    vxf_batch_release(late);
    same_context();
}

static void the_loop_asks_for_nothing(uint32_t threads) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, threads);
    long own = standin_thread();
    uint64_t waits, memory, stored = standin_calls("cuCtxSetCurrent", own);
    vxf_loader_stats stats;
    CUstream streams[3];
    vxf_loader *loader;
    int k;
    for (k = 0; k < 3; k++) streams[k] = standin_stream(context, k == 1 ? 0 : CU_STREAM_NON_BLOCKING);
    options.endless = 1;
    options.prefetch = 2;
    OK(vxf_loader_new(sampler, &options, &loader));
    same_context();
    waits = standin_calls("Synchronize", own);
    memory = memory_calls(0);
    OK(vxf_loader_start(loader, 0));
    a_loop(loader, streams, 10 * BATCHES);
    CHECK(standin_calls("Synchronize", own) == waits);
    CHECK(memory_calls(0) == memory);
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    CHECK(stats.uploads >= 10 * BATCHES);
    CHECK(stats.upload_bytes >= stats.uploads * (all->len[0] + all->len[1]));
    CHECK(stats.pinned_bytes >= 3 * (all->len[0] + all->len[1]) && stats.device_bytes >= 3 * all->len[0]);
    memory = memory_calls(own);
    vxf_loader_free(loader);
    same_context();
    CHECK(standin_calls("Synchronize", own) == waits && memory_calls(own) == memory);
    CHECK(standin_calls("cuCtxSetCurrent", own) == stored);
    for (k = 0; k < 3; k++) standin_finish(context, streams[k]);
    CHECK(standin_await_nothing_held());
}

/* Two devices at once; each batch is where its loader was told to put it. */
static void two_devices(void) {
    vxf_loader_options options[2];
    CUcontext contexts[2];
    CUstream streams[2];
    vxf_loader *loaders[2];
    comparison seen[2];
    int number, device;
    contexts[0] = context, contexts[1] = foreign;
    for (device = 0; device < 2; device++) {
        options[device] = loader_options(VXF_DEVICE_CUDA, device, 1);
        streams[device] = standin_stream(contexts[device], CU_STREAM_NON_BLOCKING);
        loaders[device] = begun(sampler, &options[device]);
    }
    for (number = 0; number < BATCHES; number++) {
        for (device = 0; device < 2; device++) {
            vxf_batch *batch = next_batch(loaders[device]);
            vxf_tensor tensor = tensor_of(batch, 0);
            CHECK(tensor.device == VXF_DEVICE_CUDA && tensor.device_id == device);
            OK(vxf_batch_wait(batch, streams[device]));
            compare_on(contexts[device], streams[device], batch, all, number, 0, &seen[device]);
            vxf_batch_release(batch);
            same_context();
        }
        for (device = 0; device < 2; device++) {
            standin_finish(contexts[device], streams[device]);
            CHECK(is_right(&seen[device]));
        }
    }
    for (device = 0; device < 2; device++) {
        vxf_batch *batch = NULL;
        CHECK_STATUS(vxf_loader_next(loaders[device], -1, &batch), VXF_STATUS_END);
        OK(vxf_loader_close(loaders[device], -1));
        vxf_loader_free(loaders[device]);
    }
    same_context();
}

int main(void) {
    context = context_of(0);
    foreign = context_of(1);
    sampler = patches();
    all = truth_of(sampler, NULL);
    DRIVER(cuCtxPushCurrent_v2(foreign));
    the_loop_asks_for_nothing(1);
    the_loop_asks_for_nothing(3);
    two_devices();
    DRIVER(cuCtxPopCurrent_v2(NULL));
    CHECK(standin_unpopped(standin_thread()) == 0);
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
