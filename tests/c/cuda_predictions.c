/* Predictions on a GPU come into the volumes behind the work that makes them, and nobody waits for that. */
#include "cuda_check.h"

enum { CHANNELS = 2, PATCH = 4 * 4 * 4 };

static vxf_assembler *assembler_of(const vxf_loader *loader) {
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.blend = VXF_BLEND_MEAN;
    OK(vxf_assembler_new(loader, &options, &assembler));
    return assembler;
}

/* Both have the same next subject, bit for bit. */
static int same_subject(vxf_assembler *host, vxf_assembler *gpu) {
    static float voxels[2][CHANNELS * VOXELS];
    vxf_tensor one, other;
    uint64_t subject, expected;
    vxf_status status = vxf_assembler_next_complete(gpu, &subject);
    if (status != VXF_STATUS_OK) {
        CHECK_STATUS(vxf_assembler_next_complete(host, &expected), VXF_STATUS_END);
        CHECK(status == VXF_STATUS_END);
        return 0;
    }
    OK(vxf_assembler_next_complete(host, &expected));
    CHECK(subject == expected);
    one.struct_size = sizeof one;
    OK(vxf_assembler_shape(gpu, subject, &one));
    CHECK(tensor_bytes(&one) == sizeof voxels[0]);
    other = one;
    one.data = voxels[0];
    other.data = voxels[1];
    OK(vxf_assembler_take(gpu, subject, VXF_COMPLETENESS_COMPLETE, &one));
    OK(vxf_assembler_take(host, subject, VXF_COMPLETENESS_COMPLETE, &other));
    CHECK(memcmp(voxels[0], voxels[1], sizeof voxels[0]) == 0);
    return 1;
}

/* Four small predictions, then a larger one, which has none of their memory: the adding thread frees that. */
static void larger_than_before(CUcontext context, CUstream stream, vxf_loader *loader, CUdeviceptr memory) {
    static const int64_t shape[5] = {ROWS, CHANNELS, 4, 4, 4};
    vxf_assembler *gpu = assembler_of(loader);
    uint64_t gate = standin_gate(context, stream), freed = standin_calls("cuMemFreeHost", 0), given;
    long own = standin_thread();
    int number;
    OK(vxf_loader_start(loader, 1));
    given = standin_calls("Free", own) + standin_calls("Destroy", own);
    for (number = 0; number < 5; number++) {
        vxf_tensor prediction = host_tensor(number < 4 ? VXF_DTYPE_F32 : VXF_DTYPE_F64, NULL, 5, shape);
        vxf_batch *batch = next_batch(loader);
        vxf_tensor taken;
        prediction.device = VXF_DEVICE_CUDA;
        prediction.data = (void *)(uintptr_t)memory;
        OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
        vxf_batch_release(batch);
        if (number != 3) continue;
        standin_open(gate);
        taken.struct_size = sizeof taken;
        OK(vxf_assembler_shape(gpu, 0, &taken));
    }
    CHECK(standin_await_calls("cuMemFreeHost", freed + 1));
    CHECK(standin_calls("Free", own) + standin_calls("Destroy", own) == given);
    vxf_assembler_free(gpu);
}

int main(void) {
    static const int64_t shape[5] = {ROWS, CHANNELS, 4, 4, 4};
    const uint64_t bytes = ROWS * CHANNELS * PATCH * sizeof(float);
    CUcontext context = context_of(0);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_sampler *sampler = patches();
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_assembler *host = assembler_of(loader), *gpu = assembler_of(loader);
    uint64_t gate, waits, subject;
    CUdeviceptr memory;
    void *made = NULL;
    int number, subjects = 0;
    OK(vxf_pinned_alloc(BATCHES * bytes, &made));
    DRIVER(cuCtxPushCurrent_v2(context));
    DRIVER(cuMemAlloc_v2(&memory, 2 * bytes));
    gate = standin_gate(context, stream);
    waits = standin_calls("Synchronize", standin_thread());
    for (number = 0; number < BATCHES; number++) {
        float *values = (float *)made + number * ROWS * CHANNELS * PATCH;
        vxf_tensor prediction = host_tensor(VXF_DTYPE_F32, values, 5, shape);
        vxf_batch *batch = next_batch(loader);
        int k;
        for (k = 0; k < ROWS * CHANNELS * PATCH; k++) values[k] = (float)(k * 7 % 31) + 0.37f * (float)number;
        OK(vxf_assembler_add(host, batch, &prediction));
        DRIVER(cuMemcpyHtoDAsync_v2(memory, values, bytes, stream));
        prediction.device = VXF_DEVICE_CUDA;
        prediction.data = (void *)(uintptr_t)memory;
        REFUSED(vxf_assembler_add(gpu, batch, &prediction), VXF_STATUS_ERR_UNSUPPORTED, "vxf_assembler_add_async");
        prediction.shape[0] = ROWS - 1;
        CHECK_STATUS(vxf_assembler_add_async(gpu, batch, &prediction, stream), VXF_STATUS_ERR_ARGUMENT);
        prediction.shape[0] = ROWS;
        OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
        if (number == 1) CHECK_STATUS(vxf_assembler_add_async(gpu, batch, &prediction, stream), VXF_STATUS_ERR_STATE);
        /* The same memory at once again: the stream itself waits until it was copied. */
        DRIVER(cuMemsetD8Async(memory, 0xFF, bytes, stream));
        vxf_batch_release(batch);
        if (number == 1) {
            CHECK_STATUS(vxf_assembler_next_complete(gpu, &subject), VXF_STATUS_NOT_READY);
            CHECK(standin_calls("Synchronize", standin_thread()) == waits);
            standin_open(gate);
        }
    }
    while (same_subject(host, gpu)) subjects++;
    CHECK(subjects == SUBJECTS);
    CHECK(standin_calls("Synchronize", standin_thread()) == waits);
    vxf_assembler_free(gpu);
    vxf_assembler_free(host);
    larger_than_before(context, stream, loader, memory);
    vxf_loader_free(loader);
    standin_finish(context, stream);
    DRIVER(cuMemFree_v2(memory));
    DRIVER(cuCtxPopCurrent_v2(NULL));
    vxf_pinned_free(made);
    no_violations();
    vxf_sampler_free(sampler);
    return 0;
}
