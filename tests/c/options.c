/* Every struct that begins with its size: shorter, equal, longer with zeros, longer with something. */
#include "check.h"

enum { ROOM = 2048, CANARY = 0xA5 };

static vxf_dataset *dataset;
static vxf_sampler *sampler;
static vxf_loader *loader;
static vxf_batch *batch;

/* Calls a function with this struct of options. */
typedef vxf_status (*user)(const void *options);
typedef vxf_status (*initialiser)(void *options, size_t size);

static void check_options(const char *name, size_t size, initialiser init, user use) {
    union {
        unsigned char bytes[ROOM];
        uint64_t aligned;
        uint32_t size;
    } given;
    size_t claimed, k;
    char expected[64];
    for (claimed = 0; claimed < size; claimed++) {
        memset(given.bytes, CANARY, ROOM);
        CHECK_STATUS(init(given.bytes, claimed), VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), name) != NULL);
        for (k = 0; k < ROOM; k++) CHECK(given.bytes[k] == CANARY);
        OK(init(given.bytes, size));
        given.size = (uint32_t)claimed;
        CHECK_STATUS(use(given.bytes), VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), name) != NULL);
    }
    for (claimed = size; claimed < size + 80; claimed++) {
        memset(given.bytes, CANARY, ROOM);
        OK(init(given.bytes, claimed));
        CHECK(given.size == claimed);
        for (k = size; k < claimed; k++) CHECK(given.bytes[k] == 0);
        for (k = claimed; k < ROOM; k++) CHECK(given.bytes[k] == CANARY);
        OK(use(given.bytes));
        for (k = size; k < claimed; k++) {
            given.bytes[k] = 1;
            CHECK_STATUS(use(given.bytes), VXF_STATUS_ERR_UNSUPPORTED);
            sprintf(expected, "%s has a field at byte %d ", name, (int)k);
            CHECK(strstr(vxf_last_error_message(), expected) != NULL);
            given.bytes[k] = 0;
        }
    }
    memset(given.bytes, CANARY, ROOM);
    CHECK_STATUS(use(given.bytes), VXF_STATUS_ERR_ARGUMENT);
    CHECK_STATUS(init(given.bytes, (size_t)-1), VXF_STATUS_ERR_ARGUMENT);
    CHECK_STATUS(init(given.bytes + 1, size), VXF_STATUS_ERR_ARGUMENT);
}

/* A struct of results: never more bytes than it says that it has. */
static void check_results(const char *name, size_t size, user write) {
    union {
        unsigned char bytes[ROOM];
        uint64_t aligned;
        uint32_t size;
    } given;
    size_t claimed, k;
    for (claimed = 0; claimed < size; claimed++) {
        memset(given.bytes, CANARY, ROOM);
        given.size = (uint32_t)claimed;
        CHECK_STATUS(write(given.bytes), VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), name) != NULL);
        for (k = sizeof(uint32_t); k < ROOM; k++) CHECK(given.bytes[k] == CANARY);
    }
    for (claimed = size; claimed < size + 40; claimed++) {
        memset(given.bytes, CANARY, ROOM);
        given.size = (uint32_t)claimed;
        OK(write(given.bytes));
        CHECK(given.size == size);
        for (k = size; k < ROOM; k++) CHECK(given.bytes[k] == CANARY);
    }
}

static vxf_status init_dataset(void *o, size_t size) { return vxf_dataset_options_init(o, size); }
static vxf_status use_dataset(const void *o) {
    vxf_dataset *made = NULL;
    vxf_status status = vxf_dataset_new(o, &made);
    CHECK((made != NULL) == (status == VXF_STATUS_OK));
    vxf_dataset_free(made);
    return status;
}
static vxf_status init_file(void *o, size_t size) { return vxf_file_options_init(o, size); }
static vxf_status use_file(const void *o) {
    vxf_dataset *made = NULL;
    uint64_t subject;
    vxf_status status;
    OK(vxf_dataset_new(NULL, &made));
    OK(vxf_dataset_add_subject(made, "s", &subject));
    status = vxf_dataset_add_file(made, subject, "c", "e", "volume.npy", o);
    vxf_dataset_free(made);
    return status;
}
static vxf_status init_sampler(void *o, size_t size) { return vxf_sampler_options_init(o, size); }
static vxf_status use_sampler(const void *o) {
    vxf_sampler *made = NULL;
    vxf_status status = vxf_sampler_new(dataset, o, &made);
    vxf_sampler_free(made);
    return status;
}
static vxf_status init_loader(void *o, size_t size) { return vxf_loader_options_init(o, size); }
static vxf_status use_loader(const void *o) {
    vxf_loader *made = NULL;
    vxf_status status = vxf_loader_new(sampler, o, &made);
    vxf_loader_free(made);
    return status;
}
static vxf_status init_assembler(void *o, size_t size) { return vxf_assembler_options_init(o, size); }
static vxf_status use_assembler(const void *o) {
    vxf_assembler *made = NULL;
    vxf_status status = vxf_assembler_new(loader, o, &made);
    vxf_assembler_free(made);
    return status;
}
static vxf_status init_writer(void *o, size_t size) { return vxf_writer_options_init(o, size); }
static vxf_status use_writer(const void *o) {
    vxf_writer *made = NULL;
    vxf_status status = vxf_writer_create("options.h5", o, &made);
    vxf_writer_free(made);
    return status;
}
static vxf_status init_montage(void *o, size_t size) { return vxf_montage_options_init(o, size); }
static vxf_status use_montage(const void *o) {
    static const int64_t shape[3] = {3, 4, 5};
    static uint8_t voxels[60];
    vxf_tensor tensor = host_tensor(VXF_DTYPE_U8, voxels, 3, shape);
    vxf_montage_column column;
    vxf_montage_options small;
    memset(&column, 0, sizeof column);
    column.volume = &tensor;
    memcpy(&small, o, sizeof small);
    if (small.struct_size < sizeof small) return vxf_montage_save("options.png", &column, 1, o);
    ((vxf_montage_options *)(uintptr_t)o)->slices = 1;
    ((vxf_montage_options *)(uintptr_t)o)->tile_pixels = 8;
    return vxf_montage_save("options.png", &column, 1, o);
}

static vxf_status write_error(const void *out) { return vxf_last_error_info((void *)(uintptr_t)out); }
static vxf_status write_info(const void *out) {
    return vxf_dataset_volume_info(dataset, 0, "images", NULL, (void *)(uintptr_t)out);
}
static vxf_status write_stats(const void *out) { return vxf_loader_get_stats(loader, (void *)(uintptr_t)out); }
static vxf_status write_tensor(const void *out) {
    return vxf_batch_tensor(batch, NULL, (void *)(uintptr_t)out);
}

int main(void) {
    static const int64_t shape[3] = {3, 4, 5};
    static uint8_t voxels[60];
    vxf_tensor tensor = host_tensor(VXF_DTYPE_U8, voxels, 3, shape);
    OK(vxf_volume_save("volume.npy", &tensor, NULL));
    dataset = small_dataset(1);
    sampler = grid_sampler(dataset, 4, VXF_BORDER_DROP);
    loader = small_loader(sampler, 1, 1);
    OK(vxf_loader_start(loader, 0));
    OK(vxf_loader_next(loader, -1, &batch));

    check_options("vxf_dataset_options", sizeof(vxf_dataset_options), init_dataset, use_dataset);
    check_options("vxf_file_options", sizeof(vxf_file_options), init_file, use_file);
    check_options("vxf_sampler_options", sizeof(vxf_sampler_options), init_sampler, use_sampler);
    check_options("vxf_loader_options", sizeof(vxf_loader_options), init_loader, use_loader);
    check_options("vxf_assembler_options", sizeof(vxf_assembler_options), init_assembler, use_assembler);
    check_options("vxf_writer_options", sizeof(vxf_writer_options), init_writer, use_writer);
    check_options("vxf_montage_options", sizeof(vxf_montage_options), init_montage, use_montage);
    check_results("vxf_error_info", sizeof(vxf_error_info), write_error);
    check_results("vxf_volume_info", sizeof(vxf_volume_info), write_info);
    check_results("vxf_loader_stats", sizeof(vxf_loader_stats), write_stats);
    check_results("vxf_tensor", sizeof(vxf_tensor), write_tensor);

    vxf_batch_release(batch);
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
