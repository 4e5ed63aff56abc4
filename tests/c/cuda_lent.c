/* Predictions that are not where they are said to be: the driver is asked before a kernel or a copy reads them. */
#include "cuda_check.h"

enum { CHANNELS = 2, VALUES = ROWS * CHANNELS * 4 * 4 * 4 };

static const uint64_t BYTES = VALUES * sizeof(float);

static CUcontext contexts[2];
static CUstream streams[2];
static CUdeviceptr memory[2];
static vxf_loader *loader;

static vxf_tensor prediction_at(uint64_t address, int32_t device) {
    static const int64_t shape[5] = {ROWS, CHANNELS, 4, 4, 4};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_F32, (void *)(uintptr_t)address, 5, shape);
    tensor.device = VXF_DEVICE_CUDA;
    tensor.device_id = device;
    return tensor;
}

static void with_sums_on(vxf_device device) {
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    vxf_tensor wrong = prediction_at(memory[1], 0), right = prediction_at(memory[0], 0);
    float *plain = malloc(BYTES);
    vxf_batch *batch;
    uint64_t copies = standin_calls("cuMemcpy", 0), launches = standin_calls("cuLaunchKernel", 0);
    int number;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.device = device;
    OK(vxf_assembler_new(loader, &options, &assembler));
    OK(vxf_loader_start(loader, 0));
    batch = next_batch(loader);
    REFUSED(vxf_assembler_add_async(assembler, batch, &wrong, streams[0]), VXF_STATUS_ERR_ARGUMENT, "device 1's");
    REFUSED(vxf_assembler_add_async(assembler, batch, &wrong, (vxf_stream)-1), VXF_STATUS_ERR_ARGUMENT, "device 1's");
    wrong = prediction_at((uintptr_t)plain, 0);
    REFUSED(vxf_assembler_add_async(assembler, batch, &wrong, streams[0]), VXF_STATUS_ERR_ARGUMENT, "does not know");
    wrong.device_id = -1;
    REFUSED(vxf_assembler_add_async(assembler, batch, &wrong, streams[0]), VXF_STATUS_ERR_ARGUMENT, "does not know");
    REFUSED(vxf_assembler_add_async(assembler, batch, &right, streams[1]), VXF_STATUS_ERR_ARGUMENT, "the stream is");
    right.device_id = 17;
    CHECK_STATUS(vxf_assembler_add_async(assembler, batch, &right, streams[0]), VXF_STATUS_ERR_NO_DEVICE);
    CHECK(standin_calls("cuMemcpy", 0) == copies && standin_calls("cuLaunchKernel", 0) == launches);
    /* Nothing was changed; what is not said the driver knows, whatever the thread's own device. */
    for (number = 0; number < BATCHES; number++) {
        vxf_tensor found = prediction_at(memory[number % 2], -1);
        OK(vxf_assembler_add_async(assembler, batch, &found, number < 6 ? streams[number % 2] : NULL));
        vxf_batch_release(batch);
        if (number + 1 < BATCHES) batch = next_batch(loader);
    }
    for (number = 0; number < SUBJECTS; number++) {
        uint64_t subject;
        OK(vxf_assembler_next_complete(assembler, &subject));
    }
    vxf_assembler_free(assembler);
    free(plain);
}

int main(void) {
    vxf_sampler *sampler = patches();
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    int device;
    for (device = 0; device < 2; device++) {
        contexts[device] = context_of(device);
        streams[device] = standin_stream(contexts[device], CU_STREAM_NON_BLOCKING);
        DRIVER(cuCtxPushCurrent_v2(contexts[device]));
        DRIVER(cuMemAlloc_v2(&memory[device], BYTES));
        DRIVER(cuMemsetD8Async(memory[device], 0, BYTES, streams[device]));
        standin_finish(contexts[device], streams[device]);
    }
    OK(vxf_loader_new(sampler, &options, &loader));
    with_sums_on(VXF_DEVICE_CPU);
    with_sums_on(VXF_DEVICE_CUDA);
    vxf_loader_free(loader);
    for (device = 1; device >= 0; device--) {
        DRIVER(cuMemFree_v2(memory[device]));
        DRIVER(cuCtxPopCurrent_v2(NULL));
    }
    CHECK(standin_unpopped(standin_thread()) == 0);
    no_violations();
    CHECK(standin_await_nothing_held());
    vxf_sampler_free(sampler);
    return 0;
}
