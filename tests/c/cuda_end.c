/* How it ends: who outlives whom, what is given back and by whom, and a driver that has gone. */
#include <pthread.h>

#include "cuda_check.h"
#include "dlpack.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

static int left(void) {
    standin_held held = standin_holds();
    return (int)(held.device_blocks + held.pinned_blocks + held.events + held.streams);
}

/* A loader that is closed has given everything back, whatever its batches were doing. */
static void closing_gives_everything_back(vxf_device device) {
    vxf_loader_options options = loader_options(device, 0, 2);
    vxf_loader *loader = begun(sampler, &options);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_batch *batch = next_batch(loader);
    uint64_t gate;
    OK(vxf_batch_wait(batch, stream));
    gate = standin_gate(context, stream);
    vxf_batch_release(batch);
    vxf_batch_release(next_batch(loader));
    standin_open(gate);
    OK(vxf_loader_close(loader, -1));
    CHECK(left() == 0);
    vxf_loader_free(loader);
    options.threads = 1;
    OK(vxf_loader_new(sampler, &options, &loader));
    vxf_loader_free(loader);
    CHECK(left() == 0);
}

/* Freeing a loader that works gives back on its threads, not on the caller's. */
static void freeing_does_not_wait(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    vxf_loader *loader;
    long own = standin_thread();
    uint64_t given = standin_calls("Destroy", own) + standin_calls("Free", own) + standin_calls("Synchronize", own);
    loader = begun_held(sampler, &options);
    vxf_batch_release(next_batch(loader));
    vxf_loader_free(loader);
    CHECK(standin_calls("Destroy", own) + standin_calls("Free", own) + standin_calls("Synchronize", own) == given);
    standin_let(UPLOADS, STANDIN_ALL);
    CHECK(standin_await_nothing_held());
}

static void *use_and_release(void *batch) {
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    comparison seen;
    OK(vxf_batch_wait(batch, stream));
    compare_on(context, stream, batch, all, 0, 0, &seen);
    standin_finish(context, stream);
    CHECK(is_right(&seen));
    vxf_batch_release(batch);
    CHECK(standin_unpopped(standin_thread()) == 0);
    return NULL;
}

/* A batch outlives its loader, and is released on another thread. */
static void batches_outlive_all(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch = next_batch(loader);
    pthread_t thread;
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    pthread_create(&thread, NULL, use_and_release, batch);
    pthread_join(thread, NULL);
    CHECK(standin_await_nothing_held());
}

static void pinned_memory_by_itself(void) {
    unsigned char *memory = NULL;
    OK(vxf_pinned_alloc(10000, (void **)&memory));
    CHECK(memory != NULL && memory[0] == 0 && memory[9999] == 0 && (uintptr_t)memory % 64 == 0);
    CHECK(standin_holds().pinned_blocks == 1);
    vxf_pinned_free(memory);
    vxf_pinned_free(memory);
    vxf_pinned_free(NULL);
    vxf_pinned_free(&context);
    CHECK(left() == 0);
}

static vxf_loader *last_loader;
static vxf_batch *last_batch;
static void *last_memory;
static DLManagedTensorVersioned *last_export;

/* When the process ends the driver goes first; whoever releases then is told nothing and harmed by nothing. */
static void release_at_exit(void) {
    uint64_t calls = standin_calls("Free", 0);
    standin_go();
    CHECK_STATUS(vxf_batch_query(last_batch), VXF_STATUS_ERR_DEVICE);
    vxf_batch_release(last_batch);
    last_export->deleter(last_export);
    vxf_pinned_free(last_memory);
    vxf_loader_free(last_loader);
    CHECK(standin_calls("Free", standin_thread()) <= calls + 1);
}

int main(void) {
    vxf_loader_options options;
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    closing_gives_everything_back(VXF_DEVICE_CUDA);
    closing_gives_everything_back(VXF_DEVICE_CUDA_HOST);
    batches_outlive_all();
    pinned_memory_by_itself();
    freeing_does_not_wait();
    CHECK(standin_unpopped(standin_thread()) == 0);
    no_violations();
    options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    options.endless = 1;
    last_loader = begun(sampler, &options);
    last_batch = next_batch(last_loader);
    OK(vxf_batch_wait(last_batch, NULL));
    OK(vxf_batch_dlpack(last_batch, NULL, 0, NULL, &last_export));
    CHECK(last_export->dl_tensor.device.device_type == kDLCUDA && last_export->dl_tensor.byte_offset == 0);
    OK(vxf_pinned_alloc(100, &last_memory));
    free_truth(all);
    vxf_sampler_free(sampler);
    atexit(release_at_exit);
    return 0;
}
