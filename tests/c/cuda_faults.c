/* Whatever the driver refuses, at creation, in the loop and on the device: a status, a sentence, nothing lost. */
#include <pthread.h>

#include "cuda_check.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

static void nothing_is_left(void) {
    standin_held held = standin_holds();
    CHECK(held.device_blocks + held.pinned_blocks + held.events + held.streams == 0);
    CHECK(standin_unpopped(standin_thread()) == 0);
}

/* Each call that making a loader takes fails in its turn. */
static void creation(vxf_device device, const char *function, CUresult error, vxf_status expected, int at_least) {
    vxf_loader_options options = loader_options(device, 0, 1);
    int failures = 0;
    for (;; failures++) {
        vxf_loader *loader = NULL;
        vxf_status status;
        standin_fail(function, (uint64_t)failures, error);
        status = vxf_loader_new(sampler, &options, &loader);
        standin_fail(function, 0, CUDA_SUCCESS);
        if (status == VXF_STATUS_OK) {
            vxf_loader_free(loader);
            break;
        }
        CHECK_STATUS(status, expected);
        CHECK(loader == NULL && strstr(vxf_last_error_message(), "CUDA_ERROR_"));
        nothing_is_left();
    }
    nothing_is_left();
    CHECK(failures >= at_least);
}

/* A copy that cannot be begun costs its own batch. */
static void a_refused_copy(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = NULL;
    vxf_batch *batch = NULL;
    vxf_error_info info;
    comparison seen;
    int number;
    standin_hold(UPLOADS);
    OK(vxf_loader_new(sampler, &options, &loader));
    standin_fail(UPLOADS, 3, CUDA_ERROR_INVALID_VALUE);
    OK(vxf_loader_start(loader, 0));
    batch = next_batch(loader);
    CHECK(standin_await_calls(UPLOADS, standin_calls(UPLOADS, 0)));
    standin_let(UPLOADS, STANDIN_ALL);
    vxf_batch_release(batch);
    batch = NULL;
    REFUSED(vxf_loader_next(loader, 60000000000, &batch), VXF_STATUS_ERR_DEVICE, "cuMemcpyHtoDAsync");
    CHECK(strstr(vxf_last_error_message(), "CUDA_ERROR_INVALID_VALUE") && batch == NULL);
    info.struct_size = sizeof info;
    OK(vxf_last_error_info(&info));
    CHECK(info.device_error == CUDA_ERROR_INVALID_VALUE);
    standin_fail(UPLOADS, 0, CUDA_SUCCESS);
    OK(vxf_loader_start(loader, 0));
    for (number = 0; number < BATCHES; number++) {
        batch = next_batch(loader);
        OK(vxf_batch_wait(batch, NULL));
        compare_on(context, NULL, batch, all, number, 0, &seen);
        standin_finish(context, NULL);
        CHECK(is_right(&seen));
        vxf_batch_release(batch);
    }
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    nothing_is_left();
}

/* Calls on the caller's thread fail where they are made, and the loader goes on. */
static void refused_waits(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch = next_batch(loader);
    standin_fail("cuStreamWaitEvent", 0, CUDA_ERROR_INVALID_HANDLE);
    REFUSED(vxf_batch_wait(batch, stream), VXF_STATUS_ERR_DEVICE, "cuStreamWaitEvent");
    standin_fail("cuStreamWaitEvent", 0, CUDA_SUCCESS);
    standin_fail("cuEventQuery", 0, CUDA_ERROR_UNKNOWN);
    REFUSED(vxf_batch_query(batch), VXF_STATUS_ERR_DEVICE, "cuEventQuery");
    standin_fail("cuEventQuery", 0, CUDA_SUCCESS);
    standin_fail("cuCtxPushCurrent_v2", 0, CUDA_ERROR_INVALID_CONTEXT);
    REFUSED(vxf_batch_wait(batch, stream), VXF_STATUS_ERR_DEVICE, "cuCtxPushCurrent");
    standin_fail("cuCtxPushCurrent_v2", 0, CUDA_SUCCESS);
    OK(vxf_batch_wait(batch, stream));
    vxf_batch_release(batch);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    nothing_is_left();
}

/* A user's stream that cannot be recorded at the release: who uses the memory next waits for all that the GPU does. */
static void refused_records(vxf_device device) {
    vxf_loader_options options = loader_options(device, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch = next_batch(loader), *second = next_batch(loader), *third = NULL;
    comparison seen;
    uint64_t gate, calls = standin_calls("cuCtxSynchronize", 0);
    OK(vxf_batch_wait(batch, stream));
    gate = standin_gate(context, stream);
    compare_on(context, stream, batch, all, 0, 0, &seen);
    CHECK(standin_settle());
    standin_fail("cuEventRecord", 0, CUDA_ERROR_INVALID_HANDLE);
    vxf_batch_release(batch);
    standin_fail("cuEventRecord", 0, CUDA_SUCCESS);
    CHECK(standin_await_blocked("cuCtxSynchronize"));
    CHECK(standin_calls("cuCtxSynchronize", 0) > calls && !seen.ran);
    standin_open(gate);
    third = next_batch(loader);
    CHECK(is_right(&seen));
    OK(vxf_batch_wait(third, stream));
    compare_on(context, stream, third, all, 2, 0, &seen);
    standin_finish(context, stream);
    CHECK(is_right(&seen));
    vxf_batch_release(second);
    vxf_batch_release(third);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    nothing_is_left();
}

static void *open_when_waited_for(void *gate) {
    CHECK(standin_await_blocked("cuCtxSynchronize"));
    standin_open(*(uint64_t *)gate);
    return NULL;
}

/* Likewise who frees it; and where even that cannot be waited for, the memory is kept, and the log says so. */
static void memory_is_not_freed_early(CUresult refused) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA_HOST, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch = next_batch(loader);
    vxf_tensor tensor = tensor_of(batch, 0);
    last_line told = {0, 0, ""};
    CUdeviceptr memory;
    pthread_t thread;
    uint64_t gate, kept;
    OK(vxf_set_log(VXF_LOG_LEVEL_ERROR, VXF_LOG_MODE_QUEUED, keep_line, &told));
    DRIVER(cuCtxPushCurrent_v2(context));
    DRIVER(cuMemAlloc_v2(&memory, all->len[0]));
    OK(vxf_batch_wait(batch, stream));
    gate = standin_gate(context, stream);
    DRIVER(cuMemcpyHtoDAsync_v2(memory, tensor.data, all->len[0], stream));
    standin_fail("cuCtxSynchronize", 0, refused);
    standin_fail("cuEventRecord", 0, CUDA_ERROR_INVALID_HANDLE);
    vxf_batch_release(batch);
    standin_fail("cuEventRecord", 0, CUDA_SUCCESS);
    if (!refused) pthread_create(&thread, NULL, open_when_waited_for, &gate);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    if (!refused) pthread_join(thread, NULL);
    kept = standin_holds().pinned_blocks;
    CHECK(refused ? kept == CATEGORIES : kept == 0);
    OK(vxf_process_events());
    CHECK(refused ? told.count == 1 && strstr(told.line, "kept for good") : told.count == 0);
    OK(vxf_set_log(0, 0, NULL, NULL));
    standin_open(gate);
    standin_finish(context, stream);
    CHECK(memcmp((void *)memory, all->bytes[0][0], all->len[0]) == 0);
    DRIVER(cuMemFree_v2(memory));
    DRIVER(cuCtxPopCurrent_v2(NULL));
    standin_fail("cuCtxSynchronize", 0, CUDA_SUCCESS);
}

/* A kernel of anybody's that goes wrong takes the context with it: all that is asked says so, nothing hangs. */
static void a_lost_context(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    vxf_status status = VXF_STATUS_OK;
    vxf_loader *loader = NULL;
    vxf_batch *batch = NULL;
    int number;
    OK(vxf_loader_new(sampler, &options, &loader));
    standin_run_fail(UPLOADS, 2, CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(vxf_loader_start(loader, 0));
    for (number = 0; number < BATCHES && status == VXF_STATUS_OK; number++) {
        status = vxf_loader_next(loader, 60000000000, &batch);
        if (status == VXF_STATUS_OK) status = vxf_batch_wait(batch, (vxf_stream)-1);
        if (status == VXF_STATUS_OK) vxf_batch_release(batch), batch = NULL;
    }
    CHECK_STATUS(status, VXF_STATUS_ERR_DEVICE);
    CHECK(strstr(vxf_last_error_message(), "CUDA_ERROR_ILLEGAL_ADDRESS"));
    CHECK(strstr(vxf_last_error_message(), "lost"));
    vxf_batch_release(batch);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    loader = NULL;
    CHECK_STATUS(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_DEVICE);
    CHECK(loader == NULL);
    options.device_id = 1;
    OK(vxf_loader_new(sampler, &options, &loader));
    vxf_loader_free(loader);
    CHECK(standin_unpopped(standin_thread()) == 0);
}

int main(void) {
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    creation(VXF_DEVICE_CUDA, "cuMemHostAlloc", CUDA_ERROR_OUT_OF_MEMORY, VXF_STATUS_ERR_MEMORY, 4);
    creation(VXF_DEVICE_CUDA, "cuMemAlloc_v2", CUDA_ERROR_OUT_OF_MEMORY, VXF_STATUS_ERR_MEMORY, 4);
    creation(VXF_DEVICE_CUDA, "cuStreamCreate", CUDA_ERROR_OUT_OF_MEMORY, VXF_STATUS_ERR_MEMORY, 1);
    creation(VXF_DEVICE_CUDA, "cuEventCreate", CUDA_ERROR_UNKNOWN, VXF_STATUS_ERR_DEVICE, 2);
    creation(VXF_DEVICE_CUDA_HOST, "cuMemHostAlloc", CUDA_ERROR_OUT_OF_MEMORY, VXF_STATUS_ERR_MEMORY, 4);
    a_refused_copy();
    refused_waits();
    refused_records(VXF_DEVICE_CUDA);
    refused_records(VXF_DEVICE_CUDA_HOST);
    memory_is_not_freed_early(CUDA_SUCCESS);
    nothing_is_left();
    memory_is_not_freed_early(CUDA_ERROR_UNKNOWN);
    no_violations();
    a_lost_context();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
