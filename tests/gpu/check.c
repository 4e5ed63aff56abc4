/* Batches on a real device: every voxel of every batch is compared there, by a slow reader whose batch is released
 * while it reads. Usage: check NAME [--batches N] [--data FOLDER] [--device N]; without a name it lists them. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"

static volumes what = {4, 48};
static uint64_t batches, slow_ns;
static int device;
static const char *folder;
static vxf_dataset *dataset;

static CUdeviceptr new_counter(void) {
    CUdeviceptr errors;
    CU(cuMemAlloc_v2(&errors, 4));
    CU(cuMemsetD8Async(errors, 0, 4, NULL));
    CU(cuStreamSynchronize(NULL));
    return errors;
}

static uint32_t counted(CUdeviceptr errors, CUstream stream) {
    uint32_t count = 99;
    CU(cuMemcpyDtoHAsync_v2(&count, errors, 4, stream));
    CU(cuStreamSynchronize(stream));
    return count;
}

static vxf_loader *begun(vxf_loader_options options) {
    vxf_sampler *sampler = patches(dataset, 24, 64);
    vxf_loader *loader;
    OK(vxf_loader_new(sampler, &options, &loader));
    OK(vxf_loader_start(loader, 0));
    vxf_sampler_free(sampler);
    return loader;
}

/* What a check of whole batches compared. */
static void tell(uint64_t count, const char *how) {
    printf("every voxel of %llu batches, read %s, is what was written\n", (unsigned long long)count, how);
}

static void done(vxf_loader *loader) {
    vxf_loader_stats stats;
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    CHECK(stats.held == 0 && stats.errors == 0);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

/* Each batch is released as soon as its reader is enqueued, so only the library keeps its memory. */
static void read_on(CUstream stream, vxf_loader_options options) {
    CUdeviceptr errors = new_counter();
    vxf_loader *loader = begun(options);
    uint64_t number;
    for (number = 0; number < batches; number++) {
        vxf_batch *batch;
        OK(vxf_loader_next(loader, -1, &batch));
        OK(vxf_batch_wait(batch, stream));
        compare(stream, batch, what, slow_ns, errors);
        vxf_batch_release(batch);
    }
    CHECK(counted(errors, stream) == 0);
    done(loader);
    CU(cuMemFree_v2(errors));
}

static void stream(void) {
    read_on(new_stream(), device_options(device));
    tell(batches, "on an own stream");
}

static void null_stream(void) {
    read_on(NULL, device_options(device));
    tell(batches, "on the default stream");
}

static void legacy_stream(void) {
    read_on(CU_STREAM_LEGACY, device_options(device));
    tell(batches, "on the legacy stream");
}

/* Makes the device's context that of a thread of ours. */
static void settle(void) {
    CUcontext context;
    CU(cuDevicePrimaryCtxRetain(&context, device));
    CU(cuCtxSetCurrent(context));
}

static void *per_thread(void *unused) {
    settle();
    read_on(CU_STREAM_PER_THREAD, device_options(device));
    return unused;
}

static void thread_streams(void) {
    pthread_t threads[2];
    int k;
    for (k = 0; k < 2; k++) CHECK(pthread_create(&threads[k], NULL, per_thread, NULL) == 0);
    for (k = 0; k < 2; k++) CHECK(pthread_join(threads[k], NULL) == 0);
    tell(2 * batches, "on the streams of two threads");
}

static void *release_all(void *end) {
    vxf_batch *batch;
    settle();
    while (read(*(int *)end, &batch, sizeof batch) == (ssize_t)sizeof batch) vxf_batch_release(batch);
    return end;
}

/* A thread's own stream reads each batch; another thread, whose own stream is another one, releases it. */
static void thread_releases(void) {
    CUdeviceptr errors = new_counter();
    vxf_loader *loader = begun(device_options(device));
    pthread_t thread;
    uint64_t number;
    int ends[2];
    CHECK(pipe(ends) == 0 && pthread_create(&thread, NULL, release_all, &ends[0]) == 0);
    for (number = 0; number < batches; number++) {
        vxf_batch *batch;
        OK(vxf_loader_next(loader, -1, &batch));
        OK(vxf_batch_wait(batch, CU_STREAM_PER_THREAD));
        compare(CU_STREAM_PER_THREAD, batch, what, slow_ns, errors);
        CHECK(write(ends[1], &batch, sizeof batch) == (ssize_t)sizeof batch);
    }
    close(ends[1]);
    CHECK(pthread_join(thread, NULL) == 0);
    close(ends[0]);
    CHECK(counted(errors, CU_STREAM_PER_THREAD) == 0);
    done(loader);
    CU(cuMemFree_v2(errors));
    tell(batches, "on a thread's stream and released by another thread");
}

/* What a thread is given that reads one batch and ends. */
typedef struct {
    vxf_loader *loader;
    vxf_batch *batch;
    CUdeviceptr errors;
    /* Past when it has been read; an event outlives the stream that it was recorded on. */
    CUevent past;
} reader;

static void *read_and_end(void *argument) {
    reader *own = argument;
    settle();
    OK(vxf_loader_next(own->loader, -1, &own->batch));
    OK(vxf_batch_wait(own->batch, CU_STREAM_PER_THREAD));
    compare(CU_STREAM_PER_THREAD, own->batch, what, slow_ns, own->errors);
    CU(cuEventRecord(own->past, CU_STREAM_PER_THREAD));
    return argument;
}

/* The thread whose own stream reads a batch has ended when the batch is released, though the reader has not. */
static void thread_ends(void) {
    enum { EVENTS = 16 };
    uint64_t count = batches / 10 + 1, number;
    CUdeviceptr errors = new_counter();
    vxf_loader *loader = begun(device_options(device));
    CUevent past[EVENTS];
    for (number = 0; number < EVENTS; number++) CU(cuEventCreate(&past[number], CU_EVENT_DISABLE_TIMING));
    for (number = 0; number < count; number++) {
        reader own = {loader, NULL, errors, past[number % EVENTS]};
        pthread_t thread;
        CU(cuEventSynchronize(own.past));
        CHECK(pthread_create(&thread, NULL, read_and_end, &own) == 0 && pthread_join(thread, NULL) == 0);
        vxf_batch_release(own.batch);
    }
    for (number = 0; number < EVENTS; number++) {
        CU(cuEventSynchronize(past[number]));
        CU(cuEventDestroy_v2(past[number]));
    }
    CHECK(counted(errors, NULL) == 0);
    done(loader);
    CU(cuMemFree_v2(errors));
    tell(count, "on the streams of threads that had ended at the release");
}

/* Two loaders feed one stream in turn. */
static void two_loaders(void) {
    CUdeviceptr errors = new_counter();
    CUstream stream = new_stream();
    vxf_loader *loaders[2];
    uint64_t number;
    int k;
    for (k = 0; k < 2; k++) {
        vxf_loader_options options = device_options(device);
        options.seed = (uint64_t)k;
        loaders[k] = begun(options);
    }
    for (number = 0; number < batches; number++) {
        vxf_batch *batch;
        OK(vxf_loader_next(loaders[number % 2], -1, &batch));
        OK(vxf_batch_wait(batch, stream));
        compare(stream, batch, what, slow_ns, errors);
        vxf_batch_release(batch);
    }
    CHECK(counted(errors, stream) == 0);
    for (k = 0; k < 2; k++) done(loaders[k]);
    tell(batches, "from two loaders on one stream");
}

/* A second stream works on the batch longer than the one that waited. */
static void two_streams(void) {
    CUdeviceptr errors = new_counter();
    CUstream first = new_stream(), second = new_stream();
    vxf_loader *loader = begun(device_options(device));
    uint64_t number;
    for (number = 0; number < batches; number++) {
        vxf_batch *batch;
        void *ready;
        OK(vxf_loader_next(loader, -1, &batch));
        OK(vxf_batch_wait(batch, first));
        OK(vxf_batch_ready_event(batch, &ready));
        CU(cuStreamWaitEvent(second, ready, 0));
        OK(vxf_batch_record_stream(batch, second));
        compare(first, batch, what, 0, errors);
        compare(second, batch, what, slow_ns, errors);
        vxf_batch_release(batch);
    }
    CHECK(counted(errors, first) == 0 && counted(errors, second) == 0);
    done(loader);
    tell(2 * batches, "by two streams at once");
}

/* A stream is captured into a graph, in the mode that refuses most, while the loader fills its slots and batches come
 * to another stream; all loaders' threads wait, query and copy then. A capture that anybody breaks cannot be ended. */
static void capture(void) {
    uint64_t count = batches / 10 + 2, number;
    CUdeviceptr errors = new_counter();
    CUstream captured = new_stream(), stream = new_stream();
    vxf_loader *loader = begun(device_options(device));
    for (number = 0; number < count; number++) {
        CUgraph graph;
        int k, is_captured = number > 0;
        /* The first time without: a driver may load a kernel when it is first launched, which no capture bears. */
        if (is_captured) CU(cuStreamBeginCapture_v2(captured, CU_STREAM_CAPTURE_MODE_GLOBAL));
        for (k = 0; k < 4; k++) {
            vxf_batch *batch;
            OK(vxf_loader_next(loader, -1, &batch));
            OK(vxf_batch_wait(batch, stream));
            compare(stream, batch, what, slow_ns, errors);
            vxf_batch_release(batch);
            busy(captured, 1000);
        }
        if (!is_captured) continue;
        CU(cuStreamEndCapture(captured, &graph));
        CU(cuGraphDestroy(graph));
    }
    CHECK(counted(errors, stream) == 0);
    done(loader);
    CU(cuMemFree_v2(errors));
    tell(4 * count, "on a stream while another one was captured");
}

/* Ends the program after so many batches, the last of which is held, while its loader works. */
static void end_now(void) {
    CUdeviceptr errors = new_counter();
    CUstream stream = new_stream();
    vxf_loader *loader = begun(device_options(device));
    vxf_batch *batch;
    uint64_t number;
    for (number = 0; number < batches; number++) {
        OK(vxf_loader_next(loader, -1, &batch));
        OK(vxf_batch_wait(batch, stream));
        compare(stream, batch, what, slow_ns, errors);
        if (number + 1 < batches) vxf_batch_release(batch);
    }
    exit(0);
}

static char *program;

/* Programs that end so: well, and soon enough. */
static void ends(void) {
    static const char *const counts[] = {"0", "1", "2", "7"};
    char slow[32], number[32];
    size_t k;
    snprintf(slow, sizeof slow, "%llu", (unsigned long long)slow_ns);
    snprintf(number, sizeof number, "%d", device);
    for (k = 0; k < sizeof counts / sizeof *counts; k++) {
        int status = 0;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            execl("/proc/self/exe", program, "end-now", "--batches", counts[k], "--slow-ns", slow, "--device", number,
                  "--data", folder, (char *)NULL);
            _exit(127);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (status != 0) fprintf(stderr, "after %s batches: wait status %d\n", counts[k], status), exit(1);
    }
    printf("%d programs ended well while their loaders worked\n", (int)k);
}

/* The copies of a loader's next images, and what they are. */
static void *next_images(vxf_loader *loader, vxf_tensor *tensor) {
    vxf_batch *batch;
    vxf_tensor to;
    OK(vxf_loader_next(loader, -1, &batch));
    tensor->struct_size = sizeof *tensor;
    OK(vxf_batch_tensor(batch, "images", tensor));
    to = host_tensor(tensor->dtype, malloc(tensor_bytes(tensor)), tensor->ndim, tensor->shape);
    OK(vxf_batch_copy_to(batch, "images", &to));
    vxf_batch_release(batch);
    return to.data;
}

/* Whether the device gives what the host does; 0 where it leaves this cast to the host. */
static int cast_of(vxf_dtype dtype, const char *chain, vxf_cast cast) {
    vxf_category categories[2];
    vxf_loader_options here = device_options(device), there;
    vxf_transform *transform;
    vxf_sampler *sampler = patches(dataset, 24, 64);
    vxf_loader *loaders[2] = {NULL, NULL};
    vxf_status status;
    int k, number;
    memset(categories, 0, sizeof categories);
    categories[0].name = "images", categories[0].dtype = dtype;
    categories[1].name = "labels";
    OK(vxf_transform_parse(chain, &transform));
    here.categories = categories, here.category_count = 2;
    here.transform = transform;
    there = here;
    here.device = VXF_DEVICE_CPU;
    there.cast = cast;
    status = vxf_loader_new(sampler, &there, &loaders[1]);
    CHECK(status == VXF_STATUS_OK || (status == VXF_STATUS_ERR_UNSUPPORTED && cast == VXF_CAST_DEVICE));
    if (status == VXF_STATUS_OK) {
        OK(vxf_loader_new(sampler, &here, &loaders[0]));
        for (k = 0; k < 2; k++) OK(vxf_loader_start(loaders[k], 0));
        for (number = 0; number < 6; number++) {
            vxf_tensor tensor, other;
            void *one = next_images(loaders[0], &tensor), *two = next_images(loaders[1], &other);
            CHECK(tensor.dtype == other.dtype && memcmp(one, two, tensor_bytes(&tensor)) == 0);
            free(one), free(two);
        }
        for (k = 0; k < 2; k++) done(loaders[k]);
    }
    vxf_sampler_free(sampler);
    vxf_transform_free(transform);
    return status == VXF_STATUS_OK;
}

/* The same bytes from the host and from the device, wherever voxels get their dtype. */
static void casts(void) {
    static const vxf_dtype dtypes[] = {VXF_DTYPE_STORED, VXF_DTYPE_I16, VXF_DTYPE_I32, VXF_DTYPE_F32, VXF_DTYPE_F64};
    static const char *const chains[] = {
        "[]", "[{\"name\": \"scale\", \"category\": \"images\", \"slope\": 0.37, \"offset\": -5.1}]",
        "[{\"name\": \"window\", \"category\": \"images\", \"low\": -900, \"high\": 700}]"};
    size_t dtype, chain;
    int cast, there = 0;
    for (dtype = 0; dtype < sizeof dtypes / sizeof *dtypes; dtype++)
        for (chain = 0; chain < sizeof chains / sizeof *chains; chain++)
            for (cast = VXF_CAST_AUTO; cast <= VXF_CAST_DEVICE; cast++)
                if (!chain || dtypes[dtype] == VXF_DTYPE_F32)
                    there += cast_of(dtypes[dtype], chains[chain], cast) && cast == VXF_CAST_DEVICE;
    CHECK(there > 0);
    printf("%d casts on the device, their bytes compared with the host's\n", there);
}

static void conversions(void) { compare_conversions(device, folder); }

static void predictions(void) { compare_predictions(device, slow_ns < 2000000 ? 2000000 : slow_ns); }

/* The device, and whether it runs a kernel. */
static void describe(void) {
    char text[256];
    describe_device(device, text, sizeof text);
    busy(NULL, 1000);
    CU(cuStreamSynchronize(NULL));
    puts(text);
}

/* Those that others call are not listed. */
static const struct {
    const char *name;
    void (*run)(void);
    int is_listed;
} checks[] = {{"device", describe, 1},
              {"stream", stream, 1},
              {"null-stream", null_stream, 1},
              {"legacy-stream", legacy_stream, 1},
              {"thread-streams", thread_streams, 1},
              {"thread-releases", thread_releases, 1},
              {"thread-ends", thread_ends, 1},
              {"two-loaders", two_loaders, 1},
              {"two-streams", two_streams, 1},
              {"capture", capture, 1},
              {"casts", casts, 1},
              {"conversions", conversions, 1},
              {"predictions", predictions, 1},
              {"ends", ends, 1},
              {"end-now", end_now, 0}};

int main(int count, char **arguments) {
    size_t k;
    batches = option(count, arguments, "--batches", 10000);
    slow_ns = option(count, arguments, "--slow-ns", 150000);
    device = (int)option(count, arguments, "--device", 0);
    folder = text_option(count, arguments, "--data", "/tmp/voxfeed-gpu");
    program = arguments[0];
    for (k = 0; k < sizeof checks / sizeof *checks; k++) {
        if (count < 2 && checks[k].is_listed) puts(checks[k].name);
        if (count < 2 || strcmp(arguments[1], checks[k].name)) continue;
        open_driver(device);
        dataset = make_volumes(folder, what);
        checks[k].run();
        return 0;
    }
    return count < 2 ? 0 : 2;
}
