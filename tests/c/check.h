/* What every program here needs: checks that say where they failed, and a small dataset. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "voxfeed.h"

#define CHECK(condition)                                                                        \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition,      \
                    vxf_last_error_message());                                                  \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

#define CHECK_STATUS(call, expected)                                                            \
    do {                                                                                        \
        vxf_status status_ = (call);                                                            \
        if (status_ != (expected)) {                                                            \
            fprintf(stderr, "%s:%d: %s gave %s, not " #expected "; last error: %s\n", __FILE__, \
                    __LINE__, #call, vxf_status_name(status_), vxf_last_error_message());       \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

#define OK(call) CHECK_STATUS(call, VXF_STATUS_OK)

/* Fails with this status, and the message has this text in it. */
#define REFUSED(call, expected, text)                                                           \
    do {                                                                                        \
        CHECK_STATUS(call, expected);                                                           \
        CHECK(strstr(vxf_last_error_message(), text) != NULL);                                  \
    } while (0)

static inline vxf_tensor host_tensor(vxf_dtype dtype, void *data, int64_t ndim, const int64_t *shape) {
    vxf_tensor tensor;
    int64_t axis;
    memset(&tensor, 0, sizeof tensor);
    tensor.struct_size = sizeof tensor;
    tensor.dtype = dtype;
    tensor.device = VXF_DEVICE_CPU;
    tensor.data = data;
    tensor.ndim = ndim;
    for (axis = 0; axis < ndim; axis++) tensor.shape[axis] = shape[axis];
    return tensor;
}

static inline uint64_t dtype_bytes(vxf_dtype dtype) { return (uint64_t)(dtype & 0xFF) / 8; }

static inline uint64_t tensor_bytes(const vxf_tensor *tensor) {
    uint64_t bytes = dtype_bytes(tensor->dtype);
    int64_t axis;
    for (axis = 0; axis < tensor->ndim; axis++) bytes *= (uint64_t)tensor->shape[axis];
    return bytes;
}

static inline uint64_t fnv(uint64_t hash, const void *data, uint64_t bytes) {
    const unsigned char *at = data;
    uint64_t k;
    for (k = 0; k < bytes; k++) hash = (hash ^ at[k]) * 0x100000001B3u;
    return hash;
}

enum { DEPTH = 6, HEIGHT = 7, WIDTH = 8, VOXELS = DEPTH * HEIGHT * WIDTH };

/* Subjects "s0", "s1", … with images T1 and T2 (i16) and labels GT (u8); every voxel is its own number. */
static inline vxf_dataset *small_dataset(int subjects) {
    static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
    static int16_t image[VOXELS];
    static uint8_t label[VOXELS];
    static const double affine[16] = {0, 0, 1, -10, 0, 2, 0, -20, 3, 0, 0, -30, 0, 0, 0, 1};
    vxf_dataset *dataset = NULL;
    int number, channel, k;
    OK(vxf_dataset_new(NULL, &dataset));
    for (number = 0; number < subjects; number++) {
        uint64_t subject = 99;
        char id[16];
        vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, image, 3, shape);
        sprintf(id, "s%d", number);
        OK(vxf_dataset_add_subject(dataset, id, &subject));
        CHECK(subject == (uint64_t)number);
        for (channel = 0; channel < 2; channel++) {
            for (k = 0; k < VOXELS; k++) image[k] = (int16_t)(number * 2000 + channel * 1000 + k);
            OK(vxf_dataset_add_tensor(dataset, subject, "images", channel ? "T2" : "T1", &tensor, affine));
        }
        for (k = 0; k < VOXELS; k++) label[k] = (uint8_t)(k % 4);
        tensor = host_tensor(VXF_DTYPE_U8, label, 3, shape);
        OK(vxf_dataset_add_tensor(dataset, subject, "labels", "GT", &tensor, affine));
    }
    return dataset;
}

static inline vxf_sampler *grid_sampler(const vxf_dataset *dataset, int64_t edge, vxf_border border) {
    vxf_sampler_options options;
    vxf_sampler *sampler = NULL;
    int axis;
    OK(vxf_sampler_options_init(&options, sizeof options));
    options.kind = VXF_SAMPLER_KIND_GRID;
    options.border = border;
    for (axis = 0; axis < 3; axis++) options.patch_shape[axis] = edge;
    OK(vxf_sampler_new(dataset, &options, &sampler));
    return sampler;
}

static inline vxf_loader *small_loader(const vxf_sampler *sampler, uint32_t batch_size, uint32_t threads) {
    vxf_loader_options options;
    vxf_loader *loader = NULL;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = batch_size;
    options.threads = threads;
    OK(vxf_loader_new(sampler, &options, &loader));
    return loader;
}

/* A listener of the log: keeps the last line, and how many there were. */
typedef struct {
    int count;
    vxf_log_level level;
    char line[512];
} last_line;

static inline void keep_line(vxf_log_level level, const char *line, void *user_data) {
    last_line *last = user_data;
    last->count++;
    last->level = level;
    snprintf(last->line, sizeof last->line, "%s", line);
}

/* Folds a batch's samples and all its bytes into a hash. */
static inline uint64_t hash_batch(uint64_t hash, const vxf_batch *batch, const char *const *categories) {
    uint64_t len = 0, k;
    vxf_sample sample[64];
    OK(vxf_batch_len(batch, &len));
    CHECK(len > 0 && len <= 64);
    OK(vxf_batch_samples(batch, sample, 64));
    for (k = 0; k < len; k++) hash = fnv(hash, &sample[k], sizeof sample[k]);
    for (; *categories; categories++) {
        vxf_tensor tensor;
        tensor.struct_size = sizeof tensor;
        OK(vxf_batch_tensor(batch, *categories, &tensor));
        CHECK(tensor.shape[0] == (int64_t)len);
        hash = fnv(hash, tensor.data, tensor_bytes(&tensor));
    }
    return hash;
}

#endif
