/* Streams that the program captures into graphs: nobody breaks the capture, and no batch is caught in it. */
#include "cuda_check.h"

enum { CHANNELS = 2 };

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

static vxf_assembler *assembler_of(const vxf_loader *loader, vxf_device device) {
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.device = device;
    OK(vxf_assembler_new(loader, &options, &assembler));
    return assembler;
}

static void no_mode_is_left(void) {
    int mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    DRIVER(cuThreadExchangeStreamCaptureMode(&mode));
    CHECK(mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
}

/* All that a program does with batches goes on beside a capture, and its memory is had and given back. */
static void captures_are_not_disturbed(vxf_device device) {
    vxf_loader_options options = loader_options(device, 0, 2);
    CUstream graph = standin_stream(context, CU_STREAM_NON_BLOCKING);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    void *memory = NULL, *copy = malloc(all->len[0]);
    vxf_loader *loader;
    int number;
    standin_capture(graph, CU_STREAM_CAPTURE_MODE_GLOBAL);
    loader = begun(sampler, &options);
    for (number = 0; number < BATCHES; number++) {
        vxf_batch *batch = next_batch(loader);
        vxf_tensor tensor = tensor_of(batch, 0), host = host_tensor(tensor.dtype, copy, tensor.ndim, tensor.shape);
        comparison seen;
        vxf_status status = vxf_batch_query(batch);
        CHECK(status == VXF_STATUS_OK || status == VXF_STATUS_NOT_READY);
        OK(vxf_batch_wait(batch, stream));
        OK(vxf_batch_wait(batch, (vxf_stream)-1));
        OK(vxf_batch_copy_to(batch, "images", &host));
        CHECK(memcmp(copy, all->bytes[number][0], all->len[0]) == 0);
        compare_on(context, stream, batch, all, number, 0, &seen);
        standin_finish(context, stream);
        CHECK(is_right(&seen));
        vxf_batch_release(batch);
    }
    OK(vxf_pinned_alloc(100, &memory));
    vxf_pinned_free(memory);
    vxf_assembler_free(assembler_of(loader, VXF_DEVICE_CUDA));
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    CHECK(standin_captured(graph) == 0);
    no_mode_is_left();
    free(copy);
}

/* What would be kept in the graph is refused, and can be asked for again. */
static void captured_streams_are_refused(vxf_device device) {
    static const int64_t shape[5] = {ROWS, CHANNELS, 4, 4, 4};
    const uint64_t bytes = ROWS * CHANNELS * 4 * 4 * 4 * sizeof(float);
    vxf_loader_options options = loader_options(device, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING), blocking = standin_stream(context, 0);
    vxf_loader *loader = begun(sampler, &options);
    vxf_assembler *host = assembler_of(loader, VXF_DEVICE_CPU), *gpu = assembler_of(loader, VXF_DEVICE_CUDA);
    vxf_batch *batch = next_batch(loader);
    CUdeviceptr memory;
    vxf_tensor prediction;
    DRIVER(cuCtxPushCurrent_v2(context));
    DRIVER(cuMemAlloc_v2(&memory, bytes));
    prediction = host_tensor(VXF_DTYPE_F32, (void *)(uintptr_t)memory, 5, shape);
    prediction.device = VXF_DEVICE_CUDA;
    standin_capture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    REFUSED(vxf_batch_wait(batch, stream), VXF_STATUS_ERR_STATE, "captured");
    REFUSED(vxf_batch_record_stream(batch, stream), VXF_STATUS_ERR_STATE, "captured");
    REFUSED(vxf_assembler_add_async(host, batch, &prediction, stream), VXF_STATUS_ERR_STATE, "captured");
    REFUSED(vxf_assembler_add_async(gpu, batch, &prediction, stream), VXF_STATUS_ERR_STATE, "captured");
    OK(vxf_batch_wait(batch, NULL));
    CHECK(standin_captured(stream) == 0);
    standin_capture(blocking, CU_STREAM_CAPTURE_MODE_GLOBAL);
    REFUSED(vxf_batch_wait(batch, NULL), VXF_STATUS_ERR_STATE, "captured");
    OK(vxf_batch_wait(batch, stream));
    CHECK(standin_captured(blocking) == 0);
    OK(vxf_batch_wait(batch, NULL));
    DRIVER(cuMemsetD8Async(memory, 0, bytes, stream));
    OK(vxf_assembler_add_async(host, batch, &prediction, stream));
    OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
    vxf_batch_release(batch);
    vxf_assembler_free(host);
    vxf_assembler_free(gpu);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    standin_finish(context, stream);
    DRIVER(cuMemFree_v2(memory));
    DRIVER(cuCtxPopCurrent_v2(NULL));
}

/* A batch that is released while its stream is captured: nothing of it is in the graph, and who uses its memory next
 * waits for what the stream was given before. */
static void released_in_a_capture(vxf_device device) {
    vxf_loader_options options = loader_options(device, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *batch;
    comparison late, seen;
    uint64_t gate;
    int number;
    for (number = 0; number < BATCHES - 1; number++) vxf_batch_release(next_batch(loader));
    batch = next_batch(loader);
    OK(vxf_batch_wait(batch, stream));
    gate = standin_gate(context, stream);
    compare_on(context, stream, batch, all, BATCHES - 1, 0, &late);
    standin_capture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
    vxf_batch_release(batch);
    CHECK(standin_captured(stream) == 0);
    OK(vxf_loader_start(loader, 0));
    CHECK(standin_await_blocked("cuCtxSynchronize") && !late.ran);
    standin_open(gate);
    for (number = 0; number < BATCHES; number++) {
        batch = next_batch(loader);
        OK(vxf_batch_wait(batch, stream));
        compare_on(context, stream, batch, all, number, 0, &seen);
        standin_finish(context, stream);
        CHECK(is_right(&seen) && is_right(&late));
        vxf_batch_release(batch);
    }
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

int main(void) {
    static const vxf_device devices[2] = {VXF_DEVICE_CUDA, VXF_DEVICE_CUDA_HOST};
    int k;
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    for (k = 0; k < 2; k++) {
        captured_streams_are_refused(devices[k]);
        released_in_a_capture(devices[k]);
        captures_are_not_disturbed(devices[k]);
        no_violations();
    }
    CHECK(standin_unpopped(standin_thread()) == 0);
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
