/* What programs need that see batches on a GPU: what a batch must hold, and comparisons at a stream's own time. */
#ifndef CUDA_CHECK_H
#define CUDA_CHECK_H

#include "check.h"
#include "standin.h"

#define DRIVER(call) CHECK((call) == CUDA_SUCCESS)

#define UPLOADS "cuMemcpyHtoDAsync_v2"

enum { SUBJECTS = 4, ROWS = 4, BATCHES = 8, CATEGORIES = 2 };

static const char *const CATEGORY[CATEGORIES] = {"images", "labels"};

/* What all loaders do to voxels, and where. */
static const vxf_transform *used_transform;
static vxf_cast used_cast;

/* The GPU casts, maps and looks up: stored i16 become f32, u8 i64. */
static inline vxf_transform *steps_for_a_device(void) {
    vxf_transform *transform = NULL;
    OK(vxf_transform_parse("[{\"name\": \"cast\", \"category\": \"images\", \"dtype\": \"f32\"},"
                           " {\"name\": \"window\", \"category\": \"images\", \"low\": -10, \"high\": 6000.5,"
                           " \"to\": [-1, 1]},"
                           " {\"name\": \"cast\", \"category\": \"labels\", \"dtype\": \"i64\"},"
                           " {\"name\": \"lookup\", \"category\": \"labels\", \"map\": {\"1\": -7, \"3\": 70000},"
                           " \"default\": \"keep\"}]",
                           &transform));
    return transform;
}

/* The batches of an epoch as plain host memory has them. */
typedef struct {
    unsigned char *bytes[BATCHES][CATEGORIES];
    uint64_t len[CATEGORIES];
} truth;

/* A place and what must be in it when a stream comes to it. */
typedef struct {
    const void *at, *expected;
    uint64_t bytes;
    int ran, wrong;
} comparison;

static inline void compare(void *argument) {
    comparison *own = argument;
    own->wrong = memcmp(own->at, own->expected, own->bytes) != 0;
    own->ran = 1;
}

static inline CUcontext context_of(int device) {
    CUcontext context = NULL;
    DRIVER(cuInit(0));
    DRIVER(cuDevicePrimaryCtxRetain(&context, device));
    return context;
}

/* Subjects of different voxels, 8 patches in each: an epoch has 8 batches of 4. */
static inline vxf_sampler *patches(void) {
    vxf_dataset *dataset = small_dataset(SUBJECTS);
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    vxf_dataset_free(dataset);
    return sampler;
}

static inline vxf_loader_options loader_options(vxf_device device, int32_t id, uint32_t threads) {
    vxf_loader_options options;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = ROWS;
    options.threads = threads;
    options.prefetch = 1;
    options.device = device;
    options.device_id = id;
    options.transform = used_transform;
    if (device == VXF_DEVICE_CUDA) options.cast = used_cast;
    return options;
}

static inline vxf_loader *begun(const vxf_sampler *sampler, const vxf_loader_options *options) {
    vxf_loader *loader = NULL;
    OK(vxf_loader_new(sampler, options, &loader));
    OK(vxf_loader_start(loader, 0));
    return loader;
}

/* Begun with its uploads held; what a loader copies while it is made is not. */
static inline vxf_loader *begun_held(const vxf_sampler *sampler, const vxf_loader_options *options) {
    vxf_loader *loader = NULL;
    OK(vxf_loader_new(sampler, options, &loader));
    standin_hold(UPLOADS);
    OK(vxf_loader_start(loader, 0));
    return loader;
}

static inline vxf_batch *next_batch(vxf_loader *loader) {
    vxf_batch *batch = NULL;
    OK(vxf_loader_next(loader, 60000000000, &batch));
    return batch;
}

static inline vxf_tensor tensor_of(const vxf_batch *batch, int category) {
    vxf_tensor tensor;
    tensor.struct_size = sizeof tensor;
    OK(vxf_batch_tensor(batch, CATEGORY[category], &tensor));
    return tensor;
}

static inline truth *truth_of(const vxf_sampler *sampler, const vxf_transform *transform) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    truth *all = calloc(1, sizeof *all);
    vxf_loader *loader;
    int number, category;
    CHECK(all != NULL);
    if (transform) options.transform = transform;
    loader = begun(sampler, &options);
    for (number = 0; number < BATCHES; number++) {
        vxf_batch *batch = next_batch(loader);
        for (category = 0; category < CATEGORIES; category++) {
            vxf_tensor tensor = tensor_of(batch, category);
            uint64_t bytes = tensor_bytes(&tensor);
            all->len[category] = bytes;
            all->bytes[number][category] = malloc(bytes);
            memcpy(all->bytes[number][category], tensor.data, bytes);
        }
        vxf_batch_release(batch);
    }
    vxf_loader_free(loader);
    /* Images tell batches from each other; labels do not. */
    CHECK(memcmp(all->bytes[0][0], all->bytes[2][0], all->len[0]) != 0);
    return all;
}

static inline void free_truth(truth *all) {
    int number, category;
    for (number = 0; number < BATCHES; number++)
        for (category = 0; category < CATEGORIES; category++) free(all->bytes[number][category]);
    free(all);
}

/* Compares one category of a batch when the stream comes to it; `own` must stay until then. */
static inline void compare_on(CUcontext context, CUstream stream, const vxf_batch *batch, const truth *all, int number,
                              int category, comparison *own) {
    vxf_tensor tensor = tensor_of(batch, category);
    comparison made = {NULL, NULL, 0, 0, 0};
    CHECK(tensor_bytes(&tensor) == all->len[category]);
    made.at = tensor.data;
    made.expected = all->bytes[number][category];
    made.bytes = all->len[category];
    *own = made;
    standin_do(context, stream, compare, own);
}

static inline int is_right(const comparison *own) { return own->ran && !own->wrong; }

/* The calls by which a thread, or all for 0, asks for memory, streams, events and modules, or gives them back. */
static inline uint64_t memory_calls(long thread) {
    return standin_calls("Alloc", thread) + standin_calls("Free", thread) + standin_calls("Register", thread) +
           standin_calls("Unregister", thread) + standin_calls("Create", thread) + standin_calls("Destroy", thread) +
           standin_calls("Module", thread) + standin_calls("Retain", thread);
}

static inline void no_violations(void) {
    const char *text = standin_violation(0);
    if (text) fprintf(stderr, "%s\n", text), exit(1);
}

#endif
