/* Predictions that a device's work makes are added as those in host memory, though that work is late: brought to the
 * host, or to sums on the device, or to sums of which the device has room for some. */
#include "gpu.h"

enum { SUBJECTS = 3, CHANNELS = 2, EDGE = 4, ROWS = 4, MOST = ROWS * CHANNELS * EDGE * EDGE * EDGE };

/* Where the sums of the assemblers lie that are compared: the first is what the others must have. */
enum { HOST, BROUGHT, RESIDENT, CROWDED, ASSEMBLERS };

static int used_device;
static uint64_t voxels, predictions;

static vxf_loader *loader_of(vxf_device device) {
    vxf_dataset *dataset = small_dataset(SUBJECTS);
    vxf_sampler *sampler = grid_sampler(dataset, EDGE, VXF_BORDER_SHIFT);
    vxf_loader_options options;
    vxf_loader *loader;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = ROWS;
    options.device = device;
    options.device_id = used_device;
    OK(vxf_loader_new(sampler, &options, &loader));
    OK(vxf_loader_start(loader, 0));
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return loader;
}

static vxf_assembler *assembler_of(const vxf_loader *loader, vxf_blend blend, int place) {
    vxf_assembler_options options;
    vxf_assembler *assembler;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.blend = blend;
    if (place == RESIDENT || place == CROWDED) {
        options.device = VXF_DEVICE_CUDA;
        options.device_id = used_device;
    }
    /* Room for one subject's sums. */
    if (place == CROWDED) options.device_bytes = 2 * CHANNELS * VOXELS * sizeof(float) - 1;
    OK(vxf_assembler_new(loader, &options, &assembler));
    return assembler;
}

/* All subjects of all, taken one by one; those that come to the host may be complete later than others. */
static void same_subjects(vxf_assembler **assemblers) {
    static float taken[2][CHANNELS * VOXELS];
    uint64_t subject, expected;
    vxf_status status;
    int count = 0, place;
    while ((status = vxf_assembler_next_complete(assemblers[HOST], &expected)) == VXF_STATUS_OK) {
        for (place = HOST; place < ASSEMBLERS; place++) {
            vxf_tensor one = {.struct_size = sizeof one};
            if (place != HOST) OK(vxf_assembler_next_complete(assemblers[place], &subject));
            OK(vxf_assembler_shape(assemblers[place], expected, &one));
            CHECK(tensor_bytes(&one) == sizeof taken[0]);
            one.data = taken[place != HOST];
            OK(vxf_assembler_take(assemblers[place], expected, VXF_COMPLETENESS_COMPLETE, &one));
            if (place == HOST) continue;
            CHECK(memcmp(taken[0], taken[1], sizeof taken[0]) == 0);
            voxels += CHANNELS * VOXELS;
        }
        count++;
    }
    CHECK(status == VXF_STATUS_END && count == SUBJECTS);
}

/* The memory is overwritten as soon as its prediction was given: the stream itself waits until it was copied or added.
 * What the first batch alone reaches is subnormal. */
static void an_epoch(vxf_blend blend, vxf_dtype dtype, vxf_device device, CUstream stream, uint64_t late_ns) {
    static const int64_t shape[5] = {ROWS, CHANNELS, EDGE, EDGE, EDGE};
    uint64_t bytes = MOST * dtype_bytes(dtype);
    vxf_loader *loader = loader_of(device);
    vxf_assembler *assemblers[ASSEMBLERS];
    vxf_batch *batch;
    vxf_status status;
    CUdeviceptr memory;
    void *made;
    int number, k, place;
    for (place = HOST; place < ASSEMBLERS; place++) assemblers[place] = assembler_of(loader, blend, place);
    CU(cuMemAlloc_v2(&memory, bytes));
    OK(vxf_pinned_alloc(64 * bytes, &made));
    for (number = 0; (status = vxf_loader_next(loader, -1, &batch)) == VXF_STATUS_OK; number++) {
        void *values = (char *)made + (uint64_t)number * bytes;
        vxf_tensor prediction = host_tensor(dtype, values, 5, shape);
        CHECK(number < 64);
        for (k = 0; k < MOST; k++) {
            float single = number ? (float)(k * 7 % 31) + 0.37f * (float)number : 1e-39f * (float)(k % 7 + 1);
            if (dtype == VXF_DTYPE_F32) ((float *)values)[k] = single;
            else ((uint16_t *)values)[k] = (uint16_t)(0x3000 + (k * 77 + number) % 0x2000);
        }
        OK(vxf_assembler_add(assemblers[HOST], batch, &prediction));
        busy(stream, late_ns);
        CU(cuMemcpyHtoDAsync_v2(memory, values, bytes, stream));
        prediction.device = VXF_DEVICE_CUDA;
        prediction.device_id = used_device;
        prediction.data = (void *)(uintptr_t)memory;
        REFUSED(vxf_assembler_add(assemblers[BROUGHT], batch, &prediction), VXF_STATUS_ERR_UNSUPPORTED,
                "vxf_assembler_add_async");
        for (place = BROUGHT; place < ASSEMBLERS; place++)
            OK(vxf_assembler_add_async(assemblers[place], batch, &prediction, stream));
        CU(cuMemsetD8Async(memory, 0x11, bytes, stream));
        vxf_batch_release(batch);
        predictions++;
    }
    CHECK(status == VXF_STATUS_END);
    same_subjects(assemblers);
    for (place = HOST; place < ASSEMBLERS; place++) vxf_assembler_free(assemblers[place]);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    CU(cuStreamSynchronize(stream));
    CU(cuMemFree_v2(memory));
    vxf_pinned_free(made);
}

void compare_predictions(int device, uint64_t late_ns) {
    static const vxf_blend blends[3] = {VXF_BLEND_LAST, VXF_BLEND_MEAN, VXF_BLEND_GAUSSIAN};
    static const vxf_dtype dtypes[2] = {VXF_DTYPE_F32, VXF_DTYPE_F16};
    CUstream streams[3] = {new_stream(), NULL, CU_STREAM_PER_THREAD};
    int k;
    used_device = device;
    /* Each blend from each stream, in both dtypes, from batches of the host and of the device. */
    for (k = 0; k < 36; k++) {
        vxf_device place = k / 18 ? VXF_DEVICE_CUDA : VXF_DEVICE_CPU;
        an_epoch(blends[k % 3], dtypes[k / 9 % 2], place, streams[k / 3 % 3], late_ns);
    }
    printf("%llu predictions of f32 and f16 from an own, the default and a thread's stream, brought to the host, added on "
           "the device, or some of both: %llu joined voxels have the host's bits\n", (unsigned long long)predictions,
           (unsigned long long)voxels);
}
