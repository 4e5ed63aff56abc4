#include "gpu.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

driver_table cu;

static void *library;
static CUmodule module;
static CUfunction busy_kernel, compare_kernel;

const char *error_name(CUresult result) {
    const char *name = NULL;
    cu.cuGetErrorName(result, &name);
    return name ? name : "an unknown error";
}

/* The kernels' text lies beside the program. */
static char *read_kernels(void) {
    char path[4096], *name, *text;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
    FILE *file;
    long bytes;
    CHECK(length > 0);
    path[length] = '\0';
    name = strrchr(path, '/') + 1;
    strcpy(name, "kernels.ptx");
    file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    bytes = ftell(file);
    rewind(file);
    text = calloc((size_t)bytes + 1, 1);
    CHECK(text && fread(text, 1, (size_t)bytes, file) == (size_t)bytes);
    fclose(file);
    return text;
}

void open_driver(int device) {
    CUcontext context;
    CUdevice number;
    char *text;
    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "no NVIDIA driver here: %s\n", dlerror());
        exit(77);
    }
#define DRIVER_LOOK_UP(name, needs)                                 \
    *(void **)&cu.name = dlsym(library, #name);                     \
    if (!cu.name) {                                                 \
        fprintf(stderr, "the driver lacks " #name "\n");            \
        exit(1);                                                    \
    }
    DRIVER_FUNCTIONS(DRIVER_LOOK_UP)
    CU(cuInit(0));
    CU(cuDeviceGet(&number, device));
    CU(cuDevicePrimaryCtxRetain(&context, number));
    CU(cuCtxSetCurrent(context));
    text = read_kernels();
    CU(cuModuleLoadData(&module, text));
    free(text);
    CU(cuModuleGetFunction(&busy_kernel, module, "vxf_test_busy"));
    CU(cuModuleGetFunction(&compare_kernel, module, "vxf_test_compare"));
}

void describe_device(int device, char *text, size_t bytes) {
    char name[128] = "";
    CUdevice number;
    int version = 0;
    CU(cuDeviceGet(&number, device));
    CU(cuDeviceGetName(name, sizeof name, number));
    CU(cuDriverGetVersion(&version));
    snprintf(text, bytes, "%s, driver for CUDA %d.%d", name, version / 1000, version % 1000 / 10);
}

CUstream new_stream(void) {
    CUstream stream;
    CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

void busy(CUstream stream, uint64_t ns) {
    void *arguments[] = {&ns};
    CU(cuLaunchKernel(busy_kernel, 1, 1, 1, 1, 1, 1, 0, stream, arguments, NULL));
}

enum { ROWS = 16 };

/* As kernels.ptx has it. */
typedef struct {
    uint64_t data, errors, ns;
    uint32_t count, channels, patch, width, plane, volume, bytes, reserved, start[ROWS];
} compare_arguments;

static uint32_t value_of(uint32_t number) { return number * 40503u >> 3; }

static void compare_category(CUstream stream, const vxf_batch *batch, volumes what, compare_arguments own) {
    void *arguments[] = {&own};
    const char *category = own.channels == 2 ? "images" : "labels";
    vxf_sample samples[ROWS];
    vxf_tensor tensor;
    uint64_t rows, row;
    tensor.struct_size = sizeof tensor;
    OK(vxf_batch_tensor(batch, category, &tensor));
    OK(vxf_batch_len(batch, &rows));
    CHECK(rows <= ROWS && tensor.device == VXF_DEVICE_CUDA && tensor.ndim == 5 && tensor.shape[1] == own.channels);
    OK(vxf_batch_samples(batch, samples, ROWS));
    own.data = (uint64_t)(uintptr_t)tensor.data;
    own.count = (uint32_t)(tensor_bytes(&tensor) / dtype_bytes(tensor.dtype));
    own.bytes = (uint32_t)dtype_bytes(tensor.dtype);
    own.patch = (uint32_t)tensor.shape[2];
    own.width = (uint32_t)what.edge;
    own.plane = own.width * own.width;
    own.volume = own.plane * own.width;
    for (row = 0; row < rows; row++) {
        const int64_t *offset = samples[row].offset;
        own.start[row] = (uint32_t)samples[row].subject * own.channels * own.volume + (uint32_t)offset[0] * own.plane +
                         (uint32_t)offset[1] * own.width + (uint32_t)offset[2];
    }
    CU(cuLaunchKernel(compare_kernel, 32, 1, 1, 256, 1, 1, 0, stream, arguments, NULL));
}

void compare(CUstream stream, const vxf_batch *batch, volumes what, uint64_t ns, CUdeviceptr errors) {
    compare_arguments images = {0, errors, ns, 0, 2, 0, 0, 0, 0, 0, 0, {0}};
    compare_arguments labels = {0, errors, 0, 0, 1, 0, 0, 0, 0, 0, 0, {0}};
    compare_category(stream, batch, what, images);
    compare_category(stream, batch, what, labels);
}

/* One volume as a file, made anew where it is not there. */
static void make_volume(const char *path, vxf_dtype dtype, uint32_t first, int64_t edge) {
    const int64_t shape[3] = {edge, edge, edge};
    uint64_t count = (uint64_t)edge * (uint64_t)edge * (uint64_t)edge, k;
    vxf_tensor tensor;
    void *voxels;
    if (access(path, R_OK) == 0) return;
    voxels = malloc(count * dtype_bytes(dtype));
    CHECK(voxels);
    for (k = 0; k < count; k++) {
        if (dtype == VXF_DTYPE_U8) ((uint8_t *)voxels)[k] = (uint8_t)value_of(first + (uint32_t)k);
        else ((uint16_t *)voxels)[k] = (uint16_t)value_of(first + (uint32_t)k);
    }
    tensor = host_tensor(dtype, voxels, 3, shape);
    OK(vxf_volume_save(path, &tensor, NULL));
    free(voxels);
}

vxf_dataset *make_volumes(const char *folder, volumes what) {
    static const char *const entries[3] = {"A", "B", "L"};
    uint32_t volume = (uint32_t)(what.edge * what.edge * what.edge);
    vxf_dataset *dataset;
    uint64_t number;
    int entry;
    mkdir(folder, 0777);
    OK(vxf_dataset_new(NULL, &dataset));
    for (number = 0; number < what.subjects; number++) {
        uint64_t subject;
        char path[4096];
        snprintf(path, sizeof path, "s%03d", (int)number);
        OK(vxf_dataset_add_subject(dataset, path, &subject));
        for (entry = 0; entry < 3; entry++) {
            int label = entry == 2;
            uint32_t first = ((uint32_t)number * (label ? 1 : 2) + (uint32_t)(label ? 0 : entry)) * volume;
            snprintf(path, sizeof path, "%s/s%03d-%s-%d.npy", folder, (int)number, entries[entry], (int)what.edge);
            make_volume(path, label ? VXF_DTYPE_U8 : VXF_DTYPE_I16, first, what.edge);
            OK(vxf_dataset_add_file(dataset, subject, label ? "labels" : "images", entries[entry], path, NULL));
        }
    }
    return dataset;
}

vxf_sampler *patches(const vxf_dataset *dataset, int64_t edge, uint64_t samples_per_subject) {
    vxf_sampler_options options;
    vxf_sampler *sampler;
    int axis;
    OK(vxf_sampler_options_init(&options, sizeof options));
    options.kind = VXF_SAMPLER_KIND_UNIFORM;
    options.samples_per_subject = samples_per_subject;
    for (axis = 0; axis < 3; axis++) options.patch_shape[axis] = edge;
    OK(vxf_sampler_new(dataset, &options, &sampler));
    return sampler;
}

vxf_loader_options device_options(int device) {
    vxf_loader_options options;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = 8;
    options.order = VXF_ORDER_SHUFFLED;
    options.endless = 1;
    options.threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    options.device = VXF_DEVICE_CUDA;
    options.device_id = device;
    options.consumer = VXF_CONSUMER_DEVICE;
    return options;
}

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

const char *text_option(int count, char **arguments, const char *name, const char *otherwise) {
    int k;
    for (k = 1; k + 1 < count; k++)
        if (!strcmp(arguments[k], name)) return arguments[k + 1];
    return otherwise;
}

uint64_t option(int count, char **arguments, const char *name, uint64_t otherwise) {
    const char *text = text_option(count, arguments, name, NULL);
    return text ? strtoull(text, NULL, 10) : otherwise;
}
