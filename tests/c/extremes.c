/* Numbers that nobody means: each is an error that says so, never a fault of the library or an abort. */
#include "check.h"

static const int64_t FAR[] = {-1, INT64_MAX, INT64_MIN, INT64_MAX / 2, (int64_t)1 << 40, 1 << 30};
enum { FARS = 6 };

/* Anything but a fault of the library itself. */
static vxf_status sane_at(int line, const char *call, vxf_status status) {
    if (status == VXF_STATUS_ERR_INTERNAL || status == VXF_STATUS_ERR_HANDLE) {
        fprintf(stderr, "line %d: %s: %s\n", line, call, vxf_last_error_message());
        exit(1);
    }
    return status;
}
#define SANE(call) sane_at(__LINE__, #call, call)
#define FAILS(call) CHECK(SANE(call) < 0)

static void datasets(vxf_dataset *dataset) {
    static int16_t voxels[VOXELS];
    static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
    vxf_tensor good = host_tensor(VXF_DTYPE_I16, voxels, 3, shape), tensor;
    vxf_dataset *made = NULL;
    vxf_volume_info info;
    const char *text = NULL;
    uint64_t subjects[2] = {0, UINT64_MAX}, subject;
    int k, axis;
    info.struct_size = sizeof info;
    for (k = 0; k < FARS; k++) {
        subject = (uint64_t)FAR[k];
        FAILS(vxf_dataset_subject_id(dataset, subject, &text));
        FAILS(vxf_dataset_categories(dataset, subject, &text));
        FAILS(vxf_dataset_attribute(dataset, subject, NULL, &text));
        FAILS(vxf_dataset_set_attribute(dataset, subject, "a", "1"));
        FAILS(vxf_dataset_volume_info(dataset, subject, "images", NULL, &info));
        FAILS(vxf_dataset_read(dataset, subject, "images", "T1", NULL, &good));
        FAILS(vxf_dataset_add_tensor(dataset, subject, "c", "e", &good, NULL));
        FAILS(vxf_dataset_set_split(dataset, "x", subjects, subject));
        FAILS(vxf_dataset_subset(dataset, subjects, subject, &made));
        for (axis = 0; axis < 3; axis++) {
            vxf_region region;
            memset(&region, 0, sizeof region);
            region.offset[axis] = FAR[k];
            SANE(vxf_dataset_read(dataset, 0, "images", "T1", &region, &good));
            region.shape[axis] = FAR[FARS - 1 - k];
            SANE(vxf_dataset_read(dataset, 0, "images", "T1", &region, &good));
            memset(&region, 0, sizeof region);
            for (region.shape[0] = DEPTH, region.shape[1] = HEIGHT; region.shape[2] < WIDTH;) region.shape[2]++;
            region.offset[axis] = FAR[k];
            SANE(vxf_dataset_read(dataset, 0, "images", "T1", &region, &good));
            /* The smaller ones could be true of a large machine: only what no memory can hold is tried. */
            if (k >= 4) continue;
            tensor = good;
            tensor.shape[axis] = FAR[k];
            tensor.strides[2] = 1;
            FAILS(vxf_volume_save("x.npy", &tensor, NULL));
            FAILS(vxf_dataset_add_tensor(dataset, 0, "c", "e", &tensor, NULL));
            tensor = good;
            tensor.strides[axis] = FAR[k];
            tensor.shape[axis] = 2;
            FAILS(vxf_volume_save("x.npy", &tensor, NULL));
        }
        tensor = good;
        tensor.ndim = FAR[k];
        FAILS(vxf_volume_save("x.npy", &tensor, NULL));
        FAILS(vxf_dataset_read(dataset, 0, "images", "T1", NULL, &tensor));
    }
    tensor = good;
    tensor.ndim = 0;
    FAILS(vxf_volume_save("x.npy", &tensor, NULL));
    FAILS(vxf_dataset_subset(dataset, subjects, 2, &made));
    CHECK(made == NULL);
    /* A tensor that repeats one element needs no memory of the caller's, but all of ours. */
    tensor = good;
    tensor.shape[0] = tensor.shape[1] = (int64_t)1 << 24;
    tensor.shape[2] = 1;
    tensor.strides[2] = 1;
    CHECK_STATUS(vxf_dataset_add_tensor(dataset, 0, "c", "e", &tensor, NULL), VXF_STATUS_ERR_MEMORY);
}

static void samplers(vxf_dataset *dataset) {
    vxf_sampler_options options;
    vxf_sampler *sampler;
    vxf_loader *loader;
    vxf_sample sample;
    uint64_t len, number;
    int kind, border, k, field, axis;
    for (kind = 0; kind < 4; kind++)
        for (border = 0; border < 4; border++)
            for (k = 0; k < FARS; k++)
                for (field = 0; field < 6; field++)
                    for (axis = 0; axis < VXF_MAX_AXES; axis += field < 3 ? 1 : VXF_MAX_AXES) {
                        sampler = NULL;
                        loader = NULL;
                        OK(vxf_sampler_options_init(&options, sizeof options));
                        options.kind = kind;
                        options.border = border;
                        if (field > 0) options.patch_shape[0] = 3;
                        if (field == 0) options.patch_shape[axis] = FAR[k];
                        if (field == 1) options.stride[axis] = FAR[k];
                        if (field == 2) options.overlap[axis] = FAR[k];
                        if (field == 3) options.axis_count = (uint32_t)FAR[k];
                        if (field == 4) options.axis_count = 1, options.axes[0] = (int32_t)FAR[k];
                        if (field == 5) options.samples_per_subject = (uint64_t)FAR[k];
                        if (SANE(vxf_sampler_new(dataset, &options, &sampler)) < 0) continue;
                        OK(vxf_sampler_len(sampler, &len));
                        FAILS(vxf_sampler_get(sampler, 0, 0, len, &sample));
                        FAILS(vxf_sampler_get(sampler, 0, 0, UINT64_MAX, &sample));
                        for (number = 0; number < 3; number++)
                            SANE(vxf_sampler_get(sampler, UINT64_MAX, UINT64_MAX, (len - 1) / 2 * number, &sample));
                        if (SANE(vxf_loader_new(sampler, NULL, &loader)) == VXF_STATUS_OK) {
                            vxf_batch *batch = NULL;
                            OK(vxf_loader_start(loader, 0));
                            if (SANE(vxf_loader_next(loader, -1, &batch)) == VXF_STATUS_OK) vxf_batch_release(batch);
                        }
                        vxf_loader_free(loader);
                        vxf_sampler_free(sampler);
                    }
}

static void loaders(vxf_dataset *dataset) {
    static const uint32_t far[] = {UINT32_MAX, UINT32_MAX / 2, 1025};
    vxf_sampler *sampler = grid_sampler(dataset, 3, VXF_BORDER_SHIFT);
    vxf_loader_options options;
    vxf_loader *loader;
    vxf_batch *batch;
    int k, last;
    for (k = 0; k < 3; k++) {
        loader = NULL;
        OK(vxf_loader_options_init(&options, sizeof options));
        options.threads = far[k];
        REFUSED(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_ARGUMENT, "threads");
        OK(vxf_loader_options_init(&options, sizeof options));
        options.prefetch = k < 2 ? far[k] : UINT32_MAX - 1;
        REFUSED(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_MEMORY, "prefetch");
        for (last = 0; last < 3; last++) {
            OK(vxf_loader_options_init(&options, sizeof options));
            options.last_batch = last;
            options.batch_size = far[k];
            options.threads = 1;
            if (SANE(vxf_loader_new(sampler, &options, &loader)) == VXF_STATUS_OK) {
                batch = NULL;
                OK(vxf_loader_start(loader, 0));
                OK(vxf_loader_next(loader, -1, &batch));
                vxf_batch_release(batch);
                vxf_loader_free(loader);
                loader = NULL;
            } else {
                CHECK(last == VXF_LAST_BATCH_DROP || far[k] > 1025);
            }
            options.batch_size = 3;
            options.world_size = far[k];
            options.rank = far[k] - 1;
            if (SANE(vxf_loader_new(sampler, &options, &loader)) == VXF_STATUS_OK) {
                batch = NULL;
                OK(vxf_loader_start(loader, 0));
                SANE(vxf_loader_next(loader, -1, &batch));
                vxf_batch_release(batch);
                vxf_loader_free(loader);
                loader = NULL;
            }
            options.world_size = 1;
            FAILS(vxf_loader_new(sampler, &options, &loader));
        }
        OK(vxf_loader_options_init(&options, sizeof options));
        options.category_count = UINT64_MAX >> k;
        FAILS(vxf_loader_new(sampler, &options, &loader));
        CHECK(loader == NULL);
    }
    vxf_sampler_free(sampler);
}

static void assemblers(vxf_dataset *dataset) {
    static uint8_t voxels[4 * VOXELS];
    static const double strange[] = {-1, 1e300, 1e-300, -0.0};
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    vxf_loader *loader = small_loader(sampler, 1, 1);
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    vxf_sample sample, wrong;
    vxf_tensor tensor;
    double share, *zero = &share, nan_value;
    static const int64_t shape[5] = {1, 1, 4, 4, 4};
    int k, word;
    share = 0;
    nan_value = *zero / *zero;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.blend = VXF_BLEND_GAUSSIAN;
    for (k = 0; k < 5; k++) {
        options.sigma = k < 4 ? strange[k] : nan_value;
        if (SANE(vxf_assembler_new(loader, &options, &assembler)) == VXF_STATUS_OK) vxf_assembler_free(assembler);
    }
    OK(vxf_assembler_new(loader, NULL, &assembler));
    OK(vxf_sampler_get(sampler, 0, 0, 0, &sample));
    tensor = host_tensor(VXF_DTYPE_U8, voxels, 5, shape);
    for (k = 0; k < FARS; k++) {
        for (word = 0; word < (int)(sizeof sample / 8) - 4; word++) {
            wrong = sample;
            memcpy((char *)&wrong + 8 * word, &FAR[k], 8);
            SANE(vxf_assembler_add_samples(assembler, &wrong, 1, &tensor));
        }
        FAILS(vxf_assembler_add_samples(assembler, &sample, (uint64_t)FAR[k], &tensor));
        FAILS(vxf_assembler_coverage(assembler, (uint64_t)FAR[k], &share));
        FAILS(vxf_assembler_take(assembler, (uint64_t)FAR[k], VXF_COMPLETENESS_PARTIAL, &tensor));
        for (word = 0; word < 5; word++) {
            vxf_tensor odd = tensor;
            odd.shape[word] = FAR[k];
            odd.strides[4] = word == 4 ? 0 : 1;
            odd.strides[3] = 0;
            SANE(vxf_assembler_add_samples(assembler, &sample, 1, &odd));
        }
    }
    vxf_assembler_free(assembler);
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
}

static void montages(void) {
    static uint8_t voxels[60];
    static const int64_t shape[3] = {3, 4, 5};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_U8, voxels, 3, shape);
    vxf_montage_options options;
    vxf_montage_column column;
    memset(&column, 0, sizeof column);
    column.volume = &tensor;
    OK(vxf_montage_options_init(&options, sizeof options));
    options.axis = UINT32_MAX;
    FAILS(vxf_montage_save("x.png", &column, 1, &options));
    options.axis = 0;
    options.slices = UINT32_MAX;
    options.tile_pixels = UINT32_MAX;
    FAILS(vxf_montage_save("x.png", &column, 1, &options));
    options.slices = 1;
    FAILS(vxf_montage_save("x.png", &column, 1, &options));
    options.tile_pixels = 8;
    column.channel = UINT32_MAX;
    FAILS(vxf_montage_save("x.png", &column, 1, &options));
    FAILS(vxf_montage_save("x.png", &column, UINT64_MAX, &options));
    FAILS(vxf_montage_save("x.png", &column, 0, &options));
}

int main(int argc, char **argv) {
    vxf_dataset *dataset = small_dataset(2);
    const char *only = argc > 1 ? argv[1] : "";
    if (!*only || !strcmp(only, "datasets")) datasets(dataset);
    if (!*only || !strcmp(only, "samplers")) samplers(dataset);
    if (!*only || !strcmp(only, "loaders")) loaders(dataset);
    if (!*only || !strcmp(only, "assemblers")) assemblers(dataset);
    if (!*only || !strcmp(only, "montages")) montages();
    vxf_dataset_free(dataset);
    return 0;
}
