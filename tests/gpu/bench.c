/* What feeding a device costs, as rows of a table.
 * Usage: bench [--data FOLDER] [--device N] [--seconds N] [--edge N] [--patch N] [--subjects N] [--busy-ns N] */
#include "gpu.h"

enum { BATCH = 8, SLOTS = 3 };

static int device;
static uint64_t window_ns, busy_ns;
static int64_t patch;
static volumes what;
static vxf_dataset *dataset;

static void row(const char *name, const char *format, double value, const char *note) {
    printf("| %s | ", name);
    printf(format, value);
    printf(" | %s |\n", note);
    fflush(stdout);
}

/* Bytes a second of copies of this size from pinned memory, one behind the other: the best of five windows. */
static double best_copy(uint64_t bytes) {
    CUstream stream = new_stream();
    CUdeviceptr to[SLOTS];
    void *from[SLOTS];
    double best = 0;
    int k, turn;
    for (k = 0; k < SLOTS; k++) {
        CU(cuMemHostAlloc(&from[k], bytes, CU_MEMHOSTALLOC_PORTABLE));
        CU(cuMemAlloc_v2(&to[k], bytes));
        memset(from[k], k, bytes);
    }
    for (turn = 0; turn < 5; turn++) {
        uint64_t began = now_ns(), copies = 0, past;
        do {
            for (k = 0; k < SLOTS; k++) CU(cuMemcpyHtoDAsync_v2(to[k], from[k], bytes, stream));
            CU(cuStreamSynchronize(stream));
            copies += SLOTS;
            past = now_ns() - began;
        } while (past < window_ns / 5);
        if ((double)(copies * bytes) * 1e9 / (double)past > best) best = (double)(copies * bytes) * 1e9 / (double)past;
    }
    for (k = 0; k < SLOTS; k++) {
        CU(cuMemFreeHost(from[k]));
        CU(cuMemFree_v2(to[k]));
    }
    CU(cuStreamDestroy_v2(stream));
    return best;
}

static vxf_loader_stats stats_of(const vxf_loader *loader) {
    vxf_loader_stats stats;
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    return stats;
}

/* A loader of one category or, for NULL, of all; NULL where this build leaves such a cast to the host. */
static vxf_loader *loader_of(const char *category, vxf_dtype dtype, vxf_cast cast) {
    vxf_loader_options options = device_options(device);
    vxf_sampler *sampler = patches(dataset, patch, 64);
    vxf_loader *loader = NULL;
    vxf_category one;
    vxf_status status;
    memset(&one, 0, sizeof one);
    one.name = category, one.dtype = dtype;
    options.cast = cast;
    if (category) options.categories = &one, options.category_count = 1;
    status = vxf_loader_new(sampler, &options, &loader);
    CHECK(status == VXF_STATUS_OK || (status == VXF_STATUS_ERR_UNSUPPORTED && cast == VXF_CAST_DEVICE));
    vxf_sampler_free(sampler);
    return loader;
}

typedef struct {
    double batches, bytes, seconds;
} speed;

/* What a loader gives in a window to a stream that has nothing else to do. */
static speed feed(vxf_loader *loader) {
    CUstream stream = new_stream();
    speed found = {0, 0, 0};
    uint64_t began = 0, sent = 0, past = 0;
    int64_t number;
    OK(vxf_loader_start(loader, 0));
    for (number = -2 * SLOTS; number < SLOTS || past < window_ns; number++) {
        vxf_batch *batch;
        if (number == 0) began = now_ns(), sent = stats_of(loader).upload_bytes;
        OK(vxf_loader_next(loader, -1, &batch));
        OK(vxf_batch_wait(batch, stream));
        vxf_batch_release(batch);
        if (number >= 0) past = now_ns() - began;
    }
    CU(cuStreamSynchronize(stream));
    past = now_ns() - began;
    found.batches = (double)number, found.seconds = (double)past / 1e9;
    found.bytes = (double)(stats_of(loader).upload_bytes - sent);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    CU(cuStreamDestroy_v2(stream));
    return found;
}

/* Batches a second with this dtype made here or there, and what crosses the bus for each. */
static void casts(const char *category, const char *stored) {
    static const char *const places[] = {"the host", "the device"};
    double rates[2] = {0, 0}, bytes[2] = {1, 1};
    char name[96];
    int k;
    for (k = 0; k < 2; k++) {
        vxf_loader *loader = loader_of(category, VXF_DTYPE_F32, k ? VXF_CAST_DEVICE : VXF_CAST_HOST);
        speed found;
        char note[96];
        snprintf(name, sizeof name, "%s as f32, cast on %s", stored, places[k]);
        if (!loader) {
            row(name, "%.0f", 0, "not in this build");
            return;
        }
        found = feed(loader);
        rates[k] = found.batches / found.seconds, bytes[k] = found.bytes / found.batches;
        snprintf(note, sizeof note, "batches/s; %.1f MB cross the bus for each, %.2f GB/s", bytes[k] / 1e6,
                 found.bytes / found.seconds / 1e9);
        row(name, "%.1f", rates[k], note);
    }
    snprintf(name, sizeof name, "%s instead of f32 over the bus", stored);
    row(name, "%.2f", rates[1] / rates[0] / (bytes[0] / bytes[1]), "of the byte ratio; 0.95 is the goal where the bus is the limit");
}

/* How long a stream takes for so many steps, with a batch each or with none. */
static double steps(vxf_loader *loader, uint64_t count) {
    CUstream stream = new_stream();
    uint64_t began = 0;
    int64_t number;
    for (number = -5; number < (int64_t)count; number++) {
        vxf_batch *batch = NULL;
        if (number == 0) {
            CU(cuStreamSynchronize(stream));
            began = now_ns();
        }
        if (loader) {
            OK(vxf_loader_next(loader, -1, &batch));
            OK(vxf_batch_wait(batch, stream));
        }
        busy(stream, busy_ns);
        vxf_batch_release(batch);
    }
    CU(cuStreamSynchronize(stream));
    began = now_ns() - began;
    CU(cuStreamDestroy_v2(stream));
    return (double)began / 1e9;
}

/* A network that needs a batch every so often: the share of time that it waits for one. */
static void consumer(void) {
    uint64_t count = window_ns * 2 / busy_ns + 1;
    double alone = steps(NULL, count), fed;
    vxf_loader *loader = loader_of(NULL, VXF_DTYPE_STORED, VXF_CAST_AUTO);
    char name[96], note[128];
    vxf_loader_stats stats;
    OK(vxf_loader_start(loader, 0));
    fed = steps(loader, count);
    stats = stats_of(loader);
    snprintf(name, sizeof name, "a step of %.1f ms with a batch, share of time that it waits", (double)busy_ns / 1e6);
    snprintf(note, sizeof note, "%%; %d steps of %.3f ms instead of %.3f; below 1 is the goal; next() waited %d times", (int)count,
             fed * 1e3 / (double)count, alone * 1e3 / (double)count, (int)stats.waits);
    row(name, "%.2f", fed > alone ? (fed - alone) / fed * 100 : 0, note);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

int main(int count, char **arguments) {
    uint64_t voxels, images, labels;
    double best, slowest;
    char text[256], note[96];
    speed found;
    device = (int)option(count, arguments, "--device", 0);
    window_ns = option(count, arguments, "--window-ms", 2000) * 1000000u;
    busy_ns = option(count, arguments, "--busy-ns", 10000000);
    patch = (int64_t)option(count, arguments, "--patch", 128);
    what.edge = (int64_t)option(count, arguments, "--edge", 256);
    what.subjects = option(count, arguments, "--subjects", 8);
    open_driver(device);
    describe_device(device, text, sizeof text);
    dataset = make_volumes(text_option(count, arguments, "--data", "/tmp/voxfeed-gpu"), what);
    voxels = (uint64_t)(patch * patch * patch);
    images = BATCH * 2 * 2 * voxels, labels = BATCH * voxels;
    printf("\nBatches of %d x (2 x i16 + u8) x %d^3, %.1f MB, from %d volumes of %d^3 in the page cache; %s.\n\n", BATCH,
           (int)patch, (double)(images + labels) / 1e6, (int)what.subjects, (int)what.edge, text);
    puts("| what | value | unit and note |\n|---|---|---|");
    best = best_copy(images);
    row("the best pinned copy of a batch's images", "%.2f", best / 1e9, "GB/s, the best of five windows");
    slowest = best_copy(labels);
    row("the best pinned copy of a batch's labels", "%.2f", slowest / 1e9, "GB/s, likewise");
    best = (double)(images + labels) / ((double)images / best + (double)labels / slowest);
    found = feed(loader_of(NULL, VXF_DTYPE_STORED, VXF_CAST_AUTO));
    snprintf(note, sizeof note, "GB/s into the device; %.1f batches/s", found.batches / found.seconds);
    row("the loader", "%.2f", found.bytes / found.seconds / 1e9, note);
    row("the loader beside the best copies of its sizes", "%.2f", found.bytes / found.seconds / best, "0.95 is the goal");
    casts("images", "i16");
    casts("labels", "u8");
    consumer();
    return 0;
}
