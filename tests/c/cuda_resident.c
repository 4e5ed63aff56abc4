/* Sums on a GPU: predictions are added where they lie, to the last bit as on the host, and nobody waits for that. */
#include "cuda_check.h"

enum { CHANNELS = 2, ROW = CHANNELS * 4 * 4 * 4, ROWS_OF_ALL = BATCHES * ROWS };

static const uint64_t BYTES = ROWS * ROW * sizeof(float), SUMS = CHANNELS * VOXELS * sizeof(float);

/* What happens on the way. */
typedef enum { PLAIN, GATED, HOST_AMID, DOUBLES_AMID, SAVED } way;

static CUcontext context;
static CUstream stream;
static vxf_loader *loader;
/* Predictions in pinned memory, F32 and the same as F64, and one of them on the device. */
static float *made;
static double *made_double;
static CUdeviceptr memory;
/* Beside the program. */
static char files[2][256];

static uint64_t waits(void) { return standin_calls("Synchronize", standin_thread()); }
static uint64_t launches(void) { return standin_calls("cuLaunchKernel", 0); }

static vxf_assembler *assembler_of(vxf_blend blend, vxf_device device, uint64_t bytes) {
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    OK(vxf_assembler_options_init(&options, sizeof options));
    CHECK(options.device == VXF_DEVICE_DEFAULT && options.device_id == 0 && options.device_bytes == 0);
    options.blend = blend;
    options.device = device;
    options.device_bytes = bytes;
    OK(vxf_assembler_new(loader, &options, &assembler));
    return assembler;
}

static int same_files(const char *one, const char *other) {
    FILE *left = fopen(one, "rb"), *right = fopen(other, "rb");
    int byte, expected;
    CHECK(left && right);
    do byte = getc(left), expected = getc(right);
    while (byte == expected && byte != EOF);
    fclose(left);
    fclose(right);
    remove(one);
    remove(other);
    return byte == expected;
}

/* Both have the GPU's next subject, bit for bit; what comes to the host is complete later. */
static int same_subject(vxf_assembler *host, vxf_assembler *gpu, way how) {
    static float voxels[2][CHANNELS * VOXELS];
    vxf_tensor one, other;
    uint64_t subject, expected;
    double share[2];
    int is_right;
    vxf_status status = vxf_assembler_next_complete(gpu, &subject);
    if (status != VXF_STATUS_OK) {
        CHECK_STATUS(status, VXF_STATUS_END);
        CHECK_STATUS(vxf_assembler_next_complete(host, &expected), VXF_STATUS_END);
        return 0;
    }
    OK(vxf_assembler_coverage(gpu, subject, &share[0]));
    OK(vxf_assembler_coverage(host, subject, &share[1]));
    CHECK(share[0] == 1.0 && share[1] == 1.0);
    if (how == SAVED) {
        OK(vxf_assembler_save(gpu, subject, VXF_COMPLETENESS_COMPLETE, files[0]));
        OK(vxf_assembler_save(host, subject, VXF_COMPLETENESS_COMPLETE, files[1]));
        CHECK(same_files(files[0], files[1]));
        return 1;
    }
    one.struct_size = sizeof one;
    OK(vxf_assembler_shape(gpu, subject, &one));
    CHECK(tensor_bytes(&one) == SUMS);
    other = one;
    one.data = voxels[0];
    other.data = voxels[1];
    OK(vxf_assembler_take(gpu, subject, VXF_COMPLETENESS_COMPLETE, &one));
    OK(vxf_assembler_take(host, subject, VXF_COMPLETENESS_COMPLETE, &other));
    is_right = memcmp(voxels[0], voxels[1], SUMS) == 0;
    CHECK(is_right);
    return 1;
}

/* One epoch of predictions on the device, also given to the host's assembler; how many rows a kernel added. */
static uint64_t add_all(vxf_assembler *host, vxf_assembler *gpu, uint64_t epoch, way how) {
    static const int64_t shape[5] = {ROWS, CHANNELS, 4, 4, 4};
    uint64_t before = launches(), waited, gate = 0;
    int number;
    OK(vxf_loader_start(loader, epoch));
    if (how == GATED) gate = standin_gate(context, stream);
    waited = waits();
    for (number = 0; number < BATCHES; number++) {
        vxf_tensor prediction = host_tensor(VXF_DTYPE_F32, made + number * ROWS * ROW, 5, shape);
        vxf_batch *batch = next_batch(loader);
        uint64_t bytes = BYTES;
        void *from = prediction.data;
        OK(vxf_assembler_add(host, batch, &prediction));
        if (how == HOST_AMID && number == 3) {
            OK(vxf_assembler_add(gpu, batch, &prediction));
            vxf_batch_release(batch);
            waited = waits();
            continue;
        }
        if (how == DOUBLES_AMID && number == 3) {
            prediction.dtype = VXF_DTYPE_F64;
            from = made_double + number * ROWS * ROW;
            bytes *= 2;
        }
        DRIVER(cuMemcpyHtoDAsync_v2(memory, from, bytes, stream));
        prediction.device = VXF_DEVICE_CUDA;
        prediction.data = (void *)(uintptr_t)memory;
        OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
        if (number == 1) CHECK_STATUS(vxf_assembler_add_async(gpu, batch, &prediction, stream), VXF_STATUS_ERR_STATE);
        /* The same memory at once again: the stream itself waits until it was added. */
        DRIVER(cuMemsetD8Async(memory, 0xFF, bytes, stream));
        vxf_batch_release(batch);
    }
    CHECK(waits() == waited);
    if (how == GATED) {
        /* Kernels come late: what does not wait for them has gone by then. */
        CHECK(standin_runs("cuLaunchKernel") == before);
        standin_hold("cuLaunchKernel");
        standin_open(gate);
        CHECK(standin_settle());
        standin_let("cuLaunchKernel", STANDIN_ALL);
    }
    return launches() - before;
}

static uint64_t one_epoch(vxf_blend blend, uint64_t bytes, way how) {
    const uint64_t before = standin_holds().device_bytes;
    vxf_assembler *host = assembler_of(blend, VXF_DEVICE_CPU, 0), *gpu = assembler_of(blend, VXF_DEVICE_CUDA, bytes);
    uint64_t rows = 0, weights = 0, epoch;
    for (epoch = 0; epoch < 2; epoch++) {
        uint64_t asked = memory_calls(standin_thread());
        int subjects = 0;
        rows = add_all(host, gpu, epoch, how);
        if (rows > 0 && blend == VXF_BLEND_GAUSSIAN) weights = 12 * sizeof(float);
        if (rows == ROWS_OF_ALL) CHECK(standin_holds().device_bytes == before + SUBJECTS * SUMS + weights);
        while (same_subject(host, gpu, how)) subjects++;
        CHECK(subjects == SUBJECTS);
        CHECK(standin_holds().device_bytes <= before + SUBJECTS * SUMS + weights);
        /* The memory of each subject's sums, and of the weights on both sides, is asked for once. */
        if (rows == ROWS_OF_ALL)
            CHECK(memory_calls(standin_thread()) - asked == (epoch ? 0 : SUBJECTS + (weights ? 2u : 0u)));
    }
    vxf_assembler_free(gpu);
    vxf_assembler_free(host);
    CHECK(standin_holds().device_bytes == before);
    return rows;
}

/* Subjects of four sizes, one after the other: memory that was given back is used again where it fits and not kept
 * where it is more than there ever was at a time; a budget for the largest alone makes room for it. */
static void sizes(uint64_t budget) {
    static const int64_t edges[] = {4, 12, 11, 5}, rows[5] = {1, 1, 4, 4, 4};
    static int16_t image[12 * 12 * 12];
    static float results[2][12 * 12 * 12];
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    const uint64_t before = standin_holds().device_bytes, largest = sizeof results[0];
    uint64_t most = 0, subject, number;
    vxf_loader *all = loader, *own = NULL;
    vxf_dataset *dataset = NULL;
    vxf_sampler *sampler;
    vxf_assembler *host, *gpu;
    vxf_batch *batch;
    OK(vxf_dataset_new(NULL, &dataset));
    for (number = 0; number < 4; number++) {
        const int64_t shape[3] = {edges[number], edges[number], edges[number]};
        const vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, image, 3, shape);
        char id[2] = "a";
        id[0] = (char)('a' + number);
        OK(vxf_dataset_add_subject(dataset, id, &subject));
        OK(vxf_dataset_add_tensor(dataset, subject, "images", "T1", &tensor, NULL));
    }
    sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    options.batch_size = 1;
    OK(vxf_loader_new(sampler, &options, &own));
    loader = own;
    host = assembler_of(VXF_BLEND_MEAN, VXF_DEVICE_CPU, 0), gpu = assembler_of(VXF_BLEND_MEAN, VXF_DEVICE_CUDA, budget);
    OK(vxf_loader_start(own, 0));
    number = 0;
    while (vxf_loader_next(own, 60000000000, &batch) == VXF_STATUS_OK) {
        float *values = made + number++ * 64 % (ROWS_OF_ALL * ROW);
        vxf_tensor prediction = host_tensor(VXF_DTYPE_F32, values, 5, rows);
        uint64_t held;
        OK(vxf_assembler_add(host, batch, &prediction));
        DRIVER(cuMemcpyHtoDAsync_v2(memory, values, 64 * sizeof(float), stream));
        prediction.device = VXF_DEVICE_CUDA;
        prediction.data = (void *)(uintptr_t)memory;
        OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
        vxf_batch_release(batch);
        held = standin_holds().device_bytes - before;
        most = held > most ? held : most;
        if (vxf_assembler_next_complete(gpu, &subject) == VXF_STATUS_OK) {
            vxf_tensor one, other;
            one.struct_size = sizeof one;
            OK(vxf_assembler_shape(gpu, subject, &one));
            other = one;
            one.data = results[0], other.data = results[1];
            OK(vxf_assembler_take(gpu, subject, VXF_COMPLETENESS_COMPLETE, &one));
            OK(vxf_assembler_take(host, subject, VXF_COMPLETENESS_COMPLETE, &other));
            CHECK(memcmp(results[0], results[1], tensor_bytes(&one)) == 0);
            CHECK(standin_holds().device_bytes - before <= largest);
        }
    }
    CHECK(subject == 3);
    /* The third has the second's memory; the fourth's is too small for that. */
    CHECK(most == (budget ? largest : largest + 125 * sizeof(float)));
    vxf_assembler_free(gpu);
    vxf_assembler_free(host);
    vxf_loader_free(own);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    CHECK(standin_holds().device_bytes == before);
    loader = all;
}

static void failures(void) {
    static const int64_t shape[5] = {ROWS, CHANNELS, 4, 4, 4};
    static float voxels[CHANNELS * VOXELS];
    vxf_tensor into, prediction = host_tensor(VXF_DTYPE_F32, (void *)(uintptr_t)memory, 5, shape);
    vxf_assembler *host, *gpu;
    vxf_assembler_options options;
    last_line told = {0, 0, ""};
    vxf_batch *batch;
    uint64_t subject;
    prediction.device = VXF_DEVICE_CUDA;
    into.struct_size = sizeof into;
    /* No device, or none of this kind. */
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.device = VXF_DEVICE_CUDA;
    options.device_id = 77;
    CHECK_STATUS(vxf_assembler_new(loader, &options, &gpu), VXF_STATUS_ERR_NO_DEVICE);
    options.device = VXF_DEVICE_CUDA_HOST;
    CHECK_STATUS(vxf_assembler_new(loader, &options, &gpu), VXF_STATUS_ERR_ARGUMENT);
    /* The device has no memory left: the host adds, and says so once for all subjects. */
    OK(vxf_set_log(VXF_LOG_LEVEL_INFO, VXF_LOG_MODE_QUEUED, keep_line, &told));
    standin_fail("cuMemAlloc_v2", 0, CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(one_epoch(VXF_BLEND_MEAN, 0, PLAIN) == 0);
    standin_fail("cuMemAlloc_v2", 0, CUDA_SUCCESS);
    OK(vxf_process_events());
    CHECK(told.count == 1 && told.level == VXF_LOG_LEVEL_INFO && strstr(told.line, "no memory there"));
    CHECK(one_epoch(VXF_BLEND_MEAN, 2 * SUMS - 1, PLAIN) == ROWS_OF_ALL / SUBJECTS);
    OK(vxf_process_events());
    CHECK(told.count == 2 && strstr(told.line, "device_bytes") && strstr(told.line, "on the host"));
    OK(vxf_set_log(0, 0, NULL, NULL));
    /* What cannot be brought to the host may come again. */
    gpu = assembler_of(VXF_BLEND_LAST, VXF_DEVICE_CUDA, SUMS);
    OK(vxf_loader_start(loader, 0));
    batch = next_batch(loader);
    standin_fail("cuMemHostAlloc", 0, CUDA_ERROR_OUT_OF_MEMORY);
    subject = launches();
    CHECK_STATUS(vxf_assembler_add_async(gpu, batch, &prediction, stream), VXF_STATUS_ERR_MEMORY);
    CHECK(launches() == subject);
    standin_fail("cuMemHostAlloc", 0, CUDA_SUCCESS);
    OK(vxf_assembler_add_async(gpu, batch, &prediction, stream));
    CHECK(launches() > subject && launches() < subject + ROWS);
    vxf_batch_release(batch);
    vxf_assembler_free(gpu);
    /* Memory for the weights that cannot be had: the host adds. */
    gpu = assembler_of(VXF_BLEND_GAUSSIAN, VXF_DEVICE_CUDA, SUMS);
    host = assembler_of(VXF_BLEND_GAUSSIAN, VXF_DEVICE_CPU, 0);
    standin_fail("cuMemAlloc_v2", 1, CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(add_all(host, gpu, 0, PLAIN) == 0);
    standin_fail("cuMemAlloc_v2", 0, CUDA_SUCCESS);
    while (same_subject(host, gpu, PLAIN)) continue;
    vxf_assembler_free(host);
    vxf_assembler_free(gpu);
    /* A copy down that is refused leaves the subject where it is. */
    host = assembler_of(VXF_BLEND_MEAN, VXF_DEVICE_CPU, 0), gpu = assembler_of(VXF_BLEND_MEAN, VXF_DEVICE_CUDA, 0);
    CHECK(add_all(host, gpu, 0, PLAIN) == ROWS_OF_ALL);
    OK(vxf_assembler_shape(gpu, 0, &into));
    into.data = voxels;
    standin_fail("cuMemcpyDtoHAsync_v2", 0, CUDA_ERROR_INVALID_VALUE);
    CHECK_STATUS(vxf_assembler_take(gpu, 0, VXF_COMPLETENESS_COMPLETE, &into), VXF_STATUS_ERR_DEVICE);
    standin_fail("cuMemcpyDtoHAsync_v2", 0, CUDA_SUCCESS);
    while (same_subject(host, gpu, PLAIN)) continue;
    vxf_assembler_free(host);
    vxf_assembler_free(gpu);
    /* A kernel that is refused: the call says so, and its subject stays incomplete. */
    gpu = assembler_of(VXF_BLEND_LAST, VXF_DEVICE_CUDA, 0);
    OK(vxf_loader_start(loader, 0));
    batch = next_batch(loader);
    standin_fail("cuLaunchKernel", 1, CUDA_ERROR_INVALID_VALUE);
    CHECK_STATUS(vxf_assembler_add_async(gpu, batch, &prediction, stream), VXF_STATUS_ERR_DEVICE);
    standin_fail("cuLaunchKernel", 0, CUDA_SUCCESS);
    CHECK_STATUS(vxf_assembler_next_complete(gpu, &subject), VXF_STATUS_NOT_READY);
    vxf_batch_release(batch);
    /* Freed with sums on the device, and work under way. */
    vxf_assembler_free(gpu);
}

/* A kernel goes wrong on the device: taking says so; nothing hangs. */
static void broken(void) {
    static float voxels[CHANNELS * VOXELS];
    vxf_assembler *host = assembler_of(VXF_BLEND_MEAN, VXF_DEVICE_CPU, 0);
    vxf_assembler *gpu = assembler_of(VXF_BLEND_MEAN, VXF_DEVICE_CUDA, 0);
    uint64_t gate, subject;
    vxf_tensor into;
    into.struct_size = sizeof into;
    gate = standin_gate(context, stream);
    standin_run_fail("cuLaunchKernel", 0, CUDA_ERROR_LAUNCH_FAILED);
    CHECK(add_all(host, gpu, 0, PLAIN) == ROWS_OF_ALL);
    OK(vxf_assembler_next_complete(gpu, &subject));
    OK(vxf_assembler_shape(gpu, subject, &into));
    into.data = voxels;
    standin_open(gate);
    CHECK(standin_settle());
    CHECK_STATUS(vxf_assembler_take(gpu, subject, VXF_COMPLETENESS_COMPLETE, &into), VXF_STATUS_ERR_DEVICE);
    CHECK_STATUS(vxf_assembler_take(gpu, subject, VXF_COMPLETENESS_PARTIAL, &into), VXF_STATUS_ERR_DEVICE);
    vxf_assembler_free(gpu);
    vxf_assembler_free(host);
}

int main(int count, char **arguments) {
    static const vxf_blend blends[3] = {VXF_BLEND_LAST, VXF_BLEND_MEAN, VXF_BLEND_GAUSSIAN};
    vxf_sampler *sampler = patches();
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    int k;
    CHECK(snprintf(files[0], sizeof files[0], "%s-gpu.npy", arguments[0]) < (int)sizeof files[0]);
    CHECK(snprintf(files[1], sizeof files[1], "%s-host.npy", arguments[0]) < (int)sizeof files[1]);
    options.order = VXF_ORDER_SHUFFLED;
    OK(vxf_loader_new(sampler, &options, &loader));
    context = context_of(0);
    stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    OK(vxf_pinned_alloc(BATCHES * BYTES, (void **)&made));
    OK(vxf_pinned_alloc(BATCHES * BYTES * 2, (void **)&made_double));
    for (k = 0; k < ROWS_OF_ALL * ROW; k++) {
        made[k] = (float)(k * 7 % 31) / 3.0f - 2.37f * (float)(k % 5);
        made_double[k] = (double)made[k];
    }
    DRIVER(cuCtxPushCurrent_v2(context));
    DRIVER(cuMemAlloc_v2(&memory, 2 * BYTES));
    if (count > 1) {
        broken();
        return 0;
    }
    for (k = 0; k < 3; k++) {
        CHECK(one_epoch(blends[k], 0, GATED) == ROWS_OF_ALL);
        CHECK(one_epoch(blends[k], 2 * SUMS - 1, PLAIN) == ROWS_OF_ALL / SUBJECTS);
        CHECK(one_epoch(blends[k], SUMS - 1, PLAIN) == 0);
        CHECK(one_epoch(blends[k], 0, HOST_AMID) < ROWS_OF_ALL - ROWS);
        CHECK(one_epoch(blends[k], 0, DOUBLES_AMID) < ROWS_OF_ALL - ROWS);
        CHECK(one_epoch(blends[k], 0, SAVED) == ROWS_OF_ALL);
    }
    sizes(0);
    sizes(12 * 12 * 12 * sizeof(float));
    failures();
    vxf_loader_free(loader);
    standin_finish(context, stream);
    DRIVER(cuMemFree_v2(memory));
    DRIVER(cuCtxPopCurrent_v2(NULL));
    vxf_pinned_free(made);
    vxf_pinned_free(made_double);
    vxf_sampler_free(sampler);
    /* The driver spins where it waits for a stream; an event is slept for. */
    CHECK(standin_calls("cuStreamSynchronize", 0) == 0);
    no_violations();
    CHECK(standin_await_nothing_held());
    return 0;
}
