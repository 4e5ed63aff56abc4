/* Written from the header alone: all of it, once, in the order in which a user would meet it. */
#include <math.h>

#include "check.h"

static const char *const CATEGORIES[] = {"images", "labels", NULL};

static vxf_dataset *tensors_and_files(void) {
    static uint8_t colour[2 * VOXELS];
    static const int64_t shape[4] = {2, DEPTH, HEIGHT, WIDTH};
    vxf_dataset *dataset = small_dataset(3);
    vxf_tensor tensor = host_tensor(VXF_DTYPE_U8, colour, 4, shape);
    vxf_file_options options;
    uint64_t subject;
    int k;
    for (k = 0; k < 2 * VOXELS; k++) colour[k] = (uint8_t)k;
    OK(vxf_volume_save("colour.npy", &tensor, NULL));
    OK(vxf_file_options_init(&options, sizeof options));
    options.channel = VXF_CHANNEL_FIRST;
    for (subject = 0; subject < 3; subject++)
        OK(vxf_dataset_add_file(dataset, subject, "colours", "all", "colour.npy", &options));
    REFUSED(vxf_dataset_add_file(dataset, 0, "colours", "all", "colour.npy", &options), VXF_STATUS_ERR_ARGUMENT,
            "all");
    REFUSED(vxf_dataset_add_file(dataset, 0, "colours", "more", "nowhere.npy", NULL), VXF_STATUS_ERR_NOT_FOUND,
            "nowhere.npy");
    REFUSED(vxf_dataset_add_subject(dataset, "s0", NULL), VXF_STATUS_ERR_ARGUMENT, "s0");
    return dataset;
}

static void attributes_and_splits(vxf_dataset *dataset) {
    static const uint64_t train[2] = {2, 0}, twice[2] = {1, 1};
    vxf_dataset *split = NULL, *subset = NULL;
    const char *text = NULL;
    uint64_t number = 9;
    OK(vxf_dataset_set_attribute(dataset, 2, "age", "61"));
    OK(vxf_dataset_set_attribute(dataset, 2, "side", "\"left\""));
    OK(vxf_dataset_attribute(dataset, 2, "age", &text));
    CHECK(strcmp(text, "61") == 0);
    OK(vxf_dataset_attribute(dataset, 2, NULL, &text));
    CHECK(strstr(text, "\"left\"") != NULL);
    CHECK_STATUS(vxf_dataset_attribute(dataset, 0, "age", &text), VXF_STATUS_ERR_NOT_FOUND);
    OK(vxf_dataset_categories(dataset, 0, &text));
    CHECK(strcmp(text, "{\"images\":[\"T1\",\"T2\"],\"labels\":[\"GT\"],\"colours\":[\"all\"]}") == 0);
    OK(vxf_dataset_set_split(dataset, "train", train, 2));
    CHECK_STATUS(vxf_dataset_set_split(dataset, "odd", twice, 2), VXF_STATUS_ERR_ARGUMENT);
    REFUSED(vxf_dataset_split(dataset, "test", &split), VXF_STATUS_ERR_NOT_FOUND, "train");
    OK(vxf_dataset_splits(dataset, &text));
    CHECK(strcmp(text, "{\"train\":[\"s2\",\"s0\"]}") == 0);
    OK(vxf_dataset_split(dataset, "train", &split));
    OK(vxf_dataset_len(split, &number));
    CHECK(number == 2);
    OK(vxf_dataset_subject_id(split, 0, &text));
    CHECK(strcmp(text, "s2") == 0);
    OK(vxf_dataset_find(split, "s0", &number));
    CHECK(number == 1);
    OK(vxf_dataset_subset(dataset, train, 1, &subset));
    OK(vxf_dataset_attribute(subset, 0, "age", &text));
    CHECK(strcmp(text, "61") == 0);
    vxf_dataset_free(subset);
    vxf_dataset_free(split);
}

static void headers_and_regions(const vxf_dataset *dataset) {
    static float voxels[2 * 2 * 3 * WIDTH];
    static const int64_t shape[4] = {2, 2, 3, WIDTH};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_F32, voxels, 4, shape);
    vxf_volume_info info;
    vxf_region region;
    info.struct_size = sizeof info;
    OK(vxf_dataset_volume_info(dataset, 1, "images", "T2", &info));
    CHECK(info.dtype == VXF_DTYPE_I16 && info.value_dtype == VXF_DTYPE_I16 && info.ndim == 3);
    CHECK(info.shape[0] == DEPTH && info.shape[1] == HEIGHT && info.shape[2] == WIDTH && info.shape[3] == 0);
    CHECK(info.channels == 1 && info.scale_slope == 1 && info.scale_intercept == 0 && info.has_affine == 1);
    CHECK(info.spacing_mm[0] == 3 && info.spacing_mm[1] == 2 && info.spacing_mm[2] == 1);
    CHECK(info.affine[2] == 1 && info.affine[11] == -30 && info.affine[15] == 1);
    CHECK(info.path[0] == '\0' && strcmp(info.format, "memory") == 0);
    OK(vxf_dataset_volume_info(dataset, 1, "colours", NULL, &info));
    CHECK(info.channels == 2 && strstr(info.path, "colour.npy") != NULL && info.has_affine == 0);
    memset(&region, 0, sizeof region);
    region.offset[0] = DEPTH - 1;
    region.offset[1] = -1;
    region.shape[0] = 2;
    region.shape[1] = 3;
    OK(vxf_dataset_read(dataset, 1, "images", NULL, &region, &tensor));
    CHECK(voxels[0] == 0 && voxels[WIDTH] == 2000 + (DEPTH - 1) * HEIGHT * WIDTH);
    CHECK(voxels[3 * WIDTH] == 0 && voxels[(2 * 3 + 1) * WIDTH] == voxels[WIDTH] + 1000);
    tensor.dtype = VXF_DTYPE_U8;
    REFUSED(vxf_dataset_read(dataset, 1, "images", NULL, &region, &tensor), VXF_STATUS_ERR_RANGE, "u8");
}

static void rules(const vxf_dataset *dataset) {
    static const uint64_t expected[4] = {3, 3 * WIDTH, 3 * 2 * 2 * 2, 3 * 5};
    vxf_sampler_options options;
    int kind;
    for (kind = 0; kind < 4; kind++) {
        vxf_sampler *sampler = NULL;
        vxf_sample sample, again;
        uint64_t len = 0;
        OK(vxf_sampler_options_init(&options, sizeof options));
        CHECK(options.kind == VXF_SAMPLER_KIND_WHOLE && options.border == VXF_BORDER_DROP);
        options.kind = kind;
        if (kind == VXF_SAMPLER_KIND_GRID) options.border = VXF_BORDER_PAD;
        if (kind == VXF_SAMPLER_KIND_SLICES) options.axis_count = 1, options.axes[0] = 2;
        if (kind >= VXF_SAMPLER_KIND_GRID)
            options.patch_shape[0] = options.patch_shape[1] = options.patch_shape[2] = 4;
        if (kind == VXF_SAMPLER_KIND_UNIFORM) options.samples_per_subject = 5;
        OK(vxf_sampler_new(dataset, &options, &sampler));
        OK(vxf_sampler_len(sampler, &len));
        CHECK(len == expected[kind]);
        OK(vxf_sampler_get(sampler, 3, 1, len - 1, &sample));
        OK(vxf_sampler_get(sampler, 3, 1, len - 1, &again));
        CHECK(memcmp(&sample, &again, sizeof sample) == 0);
        CHECK(sample.index == len - 1 && sample.subject == 2 && sample.epoch == 1 && sample.ndim == 3);
        CHECK(sample.thin_axis == (kind == VXF_SAMPLER_KIND_SLICES ? 2 : -1));
        CHECK_STATUS(vxf_sampler_get(sampler, 3, 1, len, &sample), VXF_STATUS_ERR_RANGE);
        vxf_sampler_free(sampler);
    }
}

/* Slices with every option of a loader at something else than its default. */
static void every_loader_option(const vxf_dataset *dataset) {
    static const char *const entries[1] = {"T2"};
    vxf_sampler_options rule;
    vxf_sampler *sampler = NULL;
    vxf_transform *transform = NULL;
    vxf_loader_options options;
    vxf_category categories[2];
    vxf_loader *loader = NULL, *other = NULL;
    vxf_batch *batch = NULL, *again = NULL;
    vxf_sample samples[8];
    vxf_tensor tensor;
    vxf_loader_stats stats;
    uint64_t len = 0, k;
    char state[512];
    size_t size = sizeof state;
    OK(vxf_sampler_options_init(&rule, sizeof rule));
    rule.kind = VXF_SAMPLER_KIND_SLICES;
    rule.axis_count = 2;
    rule.axes[0] = 0;
    rule.axes[1] = 1;
    OK(vxf_sampler_new(dataset, &rule, &sampler));
    REFUSED(vxf_transform_parse("[{\"name\": \"sharpen\"}]", &transform), VXF_STATUS_ERR_ARGUMENT, "sharpen");
    OK(vxf_transform_parse(
        "[{\"name\": \"cast\", \"category\": \"images\", \"dtype\": \"f32\"},"
        " {\"name\": \"window\", \"category\": \"images\", \"low\": 0, \"high\": 8000},"
        " {\"name\": \"scale\", \"category\": \"images\", \"slope\": 2, \"offset\": -1},"
        " {\"name\": \"zscore\", \"category\": \"images\", \"mean\": 0, \"std\": 0.5},"
        " {\"name\": \"lookup\", \"category\": \"labels\", \"map\": {\"3\": 1}, \"default\": \"keep\"}]",
        &transform));
    memset(categories, 0, sizeof categories);
    categories[0].name = "labels";
    categories[0].dtype = VXF_DTYPE_I64;
    categories[0].padding = VXF_PADDING_CONSTANT;
    categories[0].pad_value = 2;
    categories[0].squeeze_channel = 1;
    categories[1].name = "images";
    categories[1].entries = entries;
    categories[1].entry_count = 1;
    categories[1].padding = VXF_PADDING_REFLECT;
    categories[1].fit = VXF_FIT_SATURATE;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = 4;
    options.prefetch = 3;
    options.threads = 2;
    options.order = VXF_ORDER_SHUFFLED;
    options.last_batch = VXF_LAST_BATCH_PAD;
    options.on_error = VXF_ON_ERROR_STOP;
    options.ragged = VXF_RAGGED_PAD;
    options.thin_axis = VXF_THIN_AXIS_DROP;
    options.rank = 1;
    options.world_size = 2;
    options.seed = 11;
    options.transform = transform;
    options.categories = categories;
    options.category_count = 2;
    options.device = VXF_DEVICE_CPU;
    OK(vxf_loader_new(sampler, &options, &loader));
    OK(vxf_loader_new(sampler, &options, &other));
    OK(vxf_loader_len(loader, &len));
    CHECK(len == 5);
    CHECK_STATUS(vxf_loader_next(loader, -1, &batch), VXF_STATUS_ERR_STATE);
    OK(vxf_loader_start(loader, 2));
    for (k = 0; k < len; k++) {
        const char *names = NULL;
        uint64_t rows = 0, hash;
        if (k == 2) OK(vxf_loader_save_state(loader, state, &size));
        OK(vxf_loader_next(loader, -1, &batch));
        OK(vxf_batch_len(batch, &rows));
        CHECK(rows == 4);
        OK(vxf_batch_categories(batch, &names));
        CHECK(names[0] == '[' && strstr(names, "\"images\"") != NULL);
        OK(vxf_batch_samples(batch, samples, 8));
        CHECK(samples[0].epoch == 2 && samples[0].position % 2 == 1);
        CHECK((samples[3].flags == VXF_SAMPLE_REPEATED) == (samples[3].position >= 39));
        tensor.struct_size = sizeof tensor;
        OK(vxf_batch_tensor(batch, NULL, &tensor));
        CHECK(tensor.dtype == VXF_DTYPE_I64 && tensor.ndim == 3 && tensor.shape[2] == WIDTH);
        CHECK(tensor.device == VXF_DEVICE_CPU && tensor.strides[2] == 1 && tensor.strides[1] == WIDTH);
        OK(vxf_batch_tensor(batch, "images", &tensor));
        CHECK(tensor.dtype == VXF_DTYPE_F32 && tensor.ndim == 4 && tensor.shape[1] == 1);
        REFUSED(vxf_batch_tensor(batch, "masks", &tensor), VXF_STATUS_ERR_NOT_FOUND, "images");
        OK(vxf_batch_retain(batch, &again));
        hash = hash_batch(0, batch, CATEGORIES);
        vxf_batch_release(batch);
        CHECK(hash_batch(0, again, CATEGORIES) == hash);
        vxf_batch_release(again);
        if (k == 2) {
            OK(vxf_loader_load_state(other, state));
            OK(vxf_loader_next(other, -1, &again));
            CHECK(hash_batch(0, again, CATEGORIES) == hash);
            vxf_batch_release(again);
        }
    }
    CHECK_STATUS(vxf_loader_next(loader, -1, &batch), VXF_STATUS_END);
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    CHECK(stats.batches == 5 && stats.samples == 20 && stats.errors == 0 && stats.held == 0 && stats.slots == 4);
    OK(vxf_loader_start(loader, 3));
    OK(vxf_loader_cancel(loader));
    CHECK_STATUS(vxf_loader_next(loader, -1, &batch), VXF_STATUS_CANCELLED);
    OK(vxf_loader_close(loader, -1));
    OK(vxf_loader_close(other, -1));
    vxf_loader_free(loader);
    vxf_loader_free(other);
    vxf_transform_free(transform);
    vxf_sampler_free(sampler);
}

/* The prediction is the label itself, or three channels of which the right one is largest. */
static void assemble(const vxf_dataset *dataset, vxf_blend blend, vxf_reduce reduce, vxf_dtype sums) {
    static float scores[4 * 4 * 64];
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    vxf_loader *loader = small_loader(sampler, 4, 2);
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    vxf_batch *batch = NULL;
    uint64_t taken = 0, subject = 9, batches = 0;
    vxf_status status;
    OK(vxf_assembler_options_init(&options, sizeof options));
    CHECK(options.dtype == VXF_DTYPE_F32 && options.accumulate == VXF_DTYPE_F32 && options.sigma > 0);
    options.blend = blend;
    options.reduce = reduce;
    options.accumulate = sums;
    options.dtype = VXF_DTYPE_U8;
    OK(vxf_assembler_new(loader, &options, &assembler));
    OK(vxf_loader_start(loader, 0));
    while ((status = vxf_loader_next(loader, -1, &batch)) == VXF_STATUS_OK) {
        vxf_tensor labels, prediction;
        vxf_sample samples[4];
        uint64_t rows, row, voxel;
        double share = -1;
        labels.struct_size = sizeof labels;
        OK(vxf_batch_tensor(batch, "labels", &labels));
        OK(vxf_batch_len(batch, &rows));
        OK(vxf_batch_samples(batch, samples, 4));
        prediction = labels;
        if (reduce == VXF_REDUCE_ARGMAX) {
            memset(scores, 0, sizeof scores);
            for (row = 0; row < rows; row++)
                for (voxel = 0; voxel < 64; voxel++)
                    scores[(row * 4 + ((uint8_t *)labels.data)[row * 64 + voxel]) * 64 + voxel] = 1;
            prediction = host_tensor(VXF_DTYPE_F32, scores, 5, labels.shape);
            prediction.shape[1] = 4;
        }
        if (batches++ % 2)
            OK(vxf_assembler_add_samples(assembler, samples, rows, &prediction));
        else
            OK(vxf_assembler_add(assembler, batch, &prediction));
        CHECK_STATUS(vxf_assembler_add(assembler, batch, &prediction), VXF_STATUS_ERR_STATE);
        OK(vxf_assembler_coverage(assembler, samples[rows - 1].subject, &share));
        CHECK(share > 0 && share <= 1);
        vxf_batch_release(batch);
        while ((status = vxf_assembler_next_complete(assembler, &subject)) == VXF_STATUS_OK) {
            static uint8_t result[VOXELS], truth[VOXELS];
            static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
            vxf_tensor into, want = host_tensor(VXF_DTYPE_U8, truth, 3, shape);
            into.struct_size = sizeof into;
            OK(vxf_assembler_shape(assembler, subject, &into));
            CHECK(into.dtype == VXF_DTYPE_U8 && into.ndim == 4 && into.shape[0] == 1 && into.data == NULL);
            CHECK(tensor_bytes(&into) == VOXELS);
            if (taken++ == 2) {
                OK(vxf_assembler_save(assembler, subject, VXF_COMPLETENESS_COMPLETE, "prediction.nii.gz"));
                continue;
            }
            into.data = result;
            OK(vxf_assembler_take(assembler, subject, VXF_COMPLETENESS_COMPLETE, &into));
            OK(vxf_dataset_read(dataset, subject, "labels", "GT", NULL, &want));
            CHECK(memcmp(result, truth, VOXELS) == 0);
        }
        CHECK(status == (taken == 3 ? VXF_STATUS_END : VXF_STATUS_NOT_READY));
    }
    CHECK(status == VXF_STATUS_END && taken == 3);
    /* Another epoch, left after its first batch. */
    OK(vxf_loader_start(loader, 1));
    OK(vxf_loader_next(loader, -1, &batch));
    if (reduce == VXF_REDUCE_NONE) {
        vxf_tensor labels;
        labels.struct_size = sizeof labels;
        OK(vxf_batch_tensor(batch, "labels", &labels));
        OK(vxf_assembler_add(assembler, batch, &labels));
        REFUSED(vxf_assembler_save(assembler, 0, VXF_COMPLETENESS_COMPLETE, "part.npy"), VXF_STATUS_ERR_STATE, "4");
        OK(vxf_assembler_save(assembler, 0, VXF_COMPLETENESS_PARTIAL, "part.npy"));
        CHECK_STATUS(vxf_assembler_coverage(assembler, 0, &(double){0}), VXF_STATUS_ERR_NOT_FOUND);
    }
    vxf_batch_release(batch);
    OK(vxf_loader_close(loader, -1));
    vxf_assembler_free(assembler);
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
}

static int32_t stop_at(uint64_t done, uint64_t total, void *user_data) {
    CHECK(done >= 1 && done <= total && total == 3);
    return done == *(uint64_t *)user_data;
}

/* A call from inside the callback must be refused: to wait would be to wait for ever. */
static int32_t call_back(uint64_t done, uint64_t total, void *user_data) {
    (void)done, (void)total;
    CHECK_STATUS(vxf_writer_add_subject(user_data, "x"), VXF_STATUS_ERR_STATE);
    return 0;
}

static void write_and_open(const vxf_dataset *source) {
    vxf_dataset *file = NULL;
    vxf_writer *writer = NULL;
    vxf_writer_options options;
    vxf_dataset_options how;
    vxf_volume_info info;
    static int16_t voxels[VOXELS];
    static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, voxels, 3, shape);
    uint64_t stop = 2, len = 0;
    OK(vxf_writer_create("all.h5", NULL, &writer));
    CHECK_STATUS(vxf_writer_add_entry(writer, "images", "T1", &tensor, NULL), VXF_STATUS_ERR_STATE);
    CHECK_STATUS(vxf_writer_finish(writer), VXF_STATUS_ERR_STATE);
    CHECK_STATUS(vxf_writer_add_dataset(writer, source, stop_at, &stop), VXF_STATUS_CANCELLED);
    vxf_writer_free(writer);
    CHECK_STATUS(vxf_dataset_open("all.h5", NULL, &file), VXF_STATUS_ERR_NOT_FOUND);
    OK(vxf_writer_create("all.h5", NULL, &writer));
    OK(vxf_writer_add_dataset(writer, source, call_back, writer));
    OK(vxf_writer_finish(writer));
    CHECK_STATUS(vxf_writer_finish(writer), VXF_STATUS_ERR_STATE);
    vxf_writer_free(writer);
    CHECK_STATUS(vxf_writer_create("all.h5", NULL, &writer), VXF_STATUS_ERR_ARGUMENT);
    OK(vxf_writer_options_init(&options, sizeof options));
    options.existing = VXF_EXISTING_REPLACE;
    OK(vxf_writer_create("one.h5", &options, &writer));
    CHECK_STATUS(vxf_writer_finish(writer), VXF_STATUS_ERR_STATE);
    OK(vxf_writer_add_subject(writer, "first"));
    OK(vxf_writer_add_entry(writer, "images", "T1", &tensor, NULL));
    OK(vxf_writer_finish(writer));
    vxf_writer_free(writer);

    OK(vxf_dataset_options_init(&how, sizeof how));
    how.io = VXF_IO_POSITIONAL;
    how.geometry = VXF_GEOMETRY_SHAPE;
    how.cache_bytes = 1 << 20;
    how.orient = "RAS";
    OK(vxf_dataset_open("all.h5", &how, &file));
    OK(vxf_dataset_len(file, &len));
    CHECK(len == 3);
    info.struct_size = sizeof info;
    OK(vxf_dataset_volume_info(file, 0, "images", "T1", &info));
    CHECK(info.has_affine == 1 && fabs(info.spacing_mm[0] - 3) < 1e-9 && strstr(info.path, "all.h5") != NULL);
    vxf_dataset_free(file);
}

static void pictures(void) {
    static float grey[VOXELS];
    static uint8_t labels[VOXELS];
    static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
    static const double affine[16] = {0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1};
    vxf_tensor volumes[2] = {host_tensor(VXF_DTYPE_F32, grey, 3, shape), host_tensor(VXF_DTYPE_U8, labels, 3, shape)};
    vxf_montage_column columns[2];
    vxf_montage_options options;
    int k;
    for (k = 0; k < VOXELS; k++) grey[k] = (float)k, labels[k] = (uint8_t)(k % 3);
    memset(columns, 0, sizeof columns);
    columns[0].volume = &volumes[0];
    columns[0].title = "input";
    columns[0].look = VXF_LOOK_GREY;
    columns[1].volume = &volumes[1];
    columns[1].look = VXF_LOOK_LABELS;
    OK(vxf_montage_options_init(&options, sizeof options));
    options.slices = 3;
    options.tile_pixels = 32;
    options.affine = affine;
    OK(vxf_montage_save("picture.png", columns, 2, &options));
    OK(vxf_volume_save("grey.nii", &volumes[0], affine));
    REFUSED(vxf_volume_save("grey.jpg", &volumes[0], affine), VXF_STATUS_ERR_ARGUMENT, "grey.jpg");
}

int main(void) {
    vxf_dataset *dataset = tensors_and_files();
    int blend;
    CHECK(vxf_abi_version() == 0 && VXF_VERSION_MAJOR == 0);
    attributes_and_splits(dataset);
    headers_and_regions(dataset);
    rules(dataset);
    every_loader_option(dataset);
    for (blend = 0; blend < 3; blend++) {
        assemble(dataset, blend, VXF_REDUCE_NONE, VXF_DTYPE_F64);
        assemble(dataset, blend, VXF_REDUCE_ARGMAX, VXF_DTYPE_F32);
    }
    write_and_open(dataset);
    pictures();
    vxf_dataset_free(dataset);
    return 0;
}
