/* Predictions that a device's work makes are added as those in host memory, though that work is late. */
#include "gpu.h"

enum { SUBJECTS = 3, CHANNELS = 2, EDGE = 4, ROWS = 4, MOST = ROWS * CHANNELS * EDGE * EDGE * EDGE };

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

static vxf_assembler *assembler_of(const vxf_loader *loader, vxf_blend blend) {
    vxf_assembler_options options;
    vxf_assembler *assembler;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.blend = blend;
    OK(vxf_assembler_new(loader, &options, &assembler));
    return assembler;
}

/* All subjects of both, taken one by one. */
static void same_subjects(vxf_assembler *host, vxf_assembler *gpu) {
    static float taken[2][CHANNELS * VOXELS];
    uint64_t subject, expected;
    vxf_status status;
    int count = 0;
    while ((status = vxf_assembler_next_complete(gpu, &subject)) == VXF_STATUS_OK) {
        vxf_tensor one = {.struct_size = sizeof one}, other;
        OK(vxf_assembler_next_complete(host, &expected));
        OK(vxf_assembler_shape(gpu, subject, &one));
        CHECK(subject == expected && tensor_bytes(&one) == sizeof taken[0]);
        other = one;
        one.data = taken[0], other.data = taken[1];
        OK(vxf_assembler_take(gpu, subject, VXF_COMPLETENESS_COMPLETE, &one));
        OK(vxf_assembler_take(host, subject, VXF_COMPLETENESS_COMPLETE, &other));
        CHECK(memcmp(taken[0], taken[1], sizeof taken[0]) == 0);
        voxels += CHANNELS * VOXELS;
        count++;
    }
    CHECK(status == VXF_STATUS_END && count == SUBJECTS);
}

/* The memory is overwritten as soon as its prediction was given: the stream itself waits until it was copied. */
static void an_epoch(vxf_blend blend, vxf_dtype dtype, vxf_device device, CUstream stream, uint64_t late_ns) {
    static const int64_t shape[5] = {ROWS, CHANNELS, EDGE, EDGE, EDGE};
    uint64_t bytes = MOST * dtype_bytes(dtype);
    vxf_loader *loader = loader_of(device);
    vxf_assembler *host = assembler_of(loader, blend), *gpu = assembler_of(loader, blend);
    vxf_batch *batch;
    vxf_status status;
    CUdeviceptr memory;
    void *made;
    int number, k;
    CU(cuMemAlloc_v2(&memory, bytes));
    OK(vxf_pinned_alloc(64 * bytes, &made));
    for (number = 0; (status = vxf_loader_next(loader, -1, &batch)) == VXF_STATUS_OK; number++) {
        void *values = (char *)made + (uint64_t)number * bytes;
        vxf_tensor prediction = host_tensor(dtype, values, 5, shape);
        CHECK(number < 64);
        for (k = 0; k < MOST; k++) {
            float single = (float)(k * 7 % 31) + 0.37f * (float)number;
            if (dtype == VXF_DTYPE_F32) ((float *)values)[k] = single;
            else ((uint16_t *)values)[k] = (uint16_t)(0x3000 + (k * 77 + number) % 0x2000);
        }
        OK(vxf_assembler_add(host, batch, &prediction));
        busy(stream, late_ns);
        CU(cuMemcpyHtoDAsync_v2(memory, values, bytes, stream));
        prediction.device = VXF_DEVICE_CUDA;
        prediction.device_id = used_device;
        prediction.data = (void *)(uintptr_t)memory;
        REFUSED(vxf_assembler_add(gpu, batch, &prediction), VXF_STATUS_ERR_UNSUPPORTED, "vxf_assembler_add_async");
        OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
        CU(cuMemsetD8Async(memory, 0x11, bytes, stream));
        vxf_batch_release(batch);
        predictions++;
    }
    CHECK(status == VXF_STATUS_END);
    same_subjects(host, gpu);
    vxf_assembler_free(gpu);
    vxf_assembler_free(host);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    CU(cuStreamSynchronize(stream));
    CU(cuMemFree_v2(memory));
    vxf_pinned_free(made);
}

void compare_predictions(int device, uint64_t late_ns) {
    static const vxf_blend blends[2] = {VXF_BLEND_MEAN, VXF_BLEND_GAUSSIAN};
    static const vxf_dtype dtypes[2] = {VXF_DTYPE_F32, VXF_DTYPE_F16};
    CUstream streams[3] = {new_stream(), NULL, CU_STREAM_PER_THREAD};
    int k;
    used_device = device;
    for (k = 0; k < 12; k++) {
        vxf_device place = k / 3 % 2 ? VXF_DEVICE_CUDA : VXF_DEVICE_CPU;
        an_epoch(blends[k % 2], dtypes[k / 6], place, streams[k % 3], late_ns);
    }
    printf("%llu predictions of f32 and f16 from an own, the default and a thread's stream: %llu joined voxels have the "
           "host's bits\n", (unsigned long long)predictions, (unsigned long long)voxels);
}
