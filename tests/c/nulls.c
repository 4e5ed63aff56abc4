/* Every function with each of its pointers NULL, with freed handles and with handles of another kind. */
#include "check.h"

static vxf_dataset *dataset;
static vxf_sampler *sampler;
static vxf_transform *transform;
static vxf_loader *loader;
static vxf_batch *batch;
static vxf_assembler *assembler;
static vxf_writer *writer;

static int number;

/* A known message, so that a call that fails without one of its own is noticed. */
static void plant_message(void) {
    char json[64];
    sprintf(json, "planted-%d", ++number);
    OK(vxf_dataset_set_attribute(dataset, 0, "a", "1"));
    REFUSED(vxf_dataset_find(dataset, json, &(uint64_t){0}), VXF_STATUS_ERR_NOT_FOUND, "planted-");
}

static void check_failure(int line, const char *call, vxf_status status, vxf_status expected) {
    const char *message = vxf_last_error_message();
    vxf_error_info info;
    if (status != expected || message[0] == '\0' || strstr(message, "planted-") || strchr(message, '\n')) {
        fprintf(stderr, "line %d: %s gave %s, not %s: %s\n", line, call, vxf_status_name(status),
                vxf_status_name(expected), message);
        exit(1);
    }
    info.struct_size = sizeof info;
    OK(vxf_last_error_info(&info));
    CHECK(info.status == expected && info.path != NULL);
    CHECK(strcmp(message, vxf_last_error_message()) == 0);
}

#define FAILS(call, expected)                              \
    do {                                                   \
        plant_message();                                   \
        check_failure(__LINE__, #call, call, expected);    \
    } while (0)
#define ARGUMENT(call) FAILS(call, VXF_STATUS_ERR_ARGUMENT)
#define HANDLE(call) FAILS(call, VXF_STATUS_ERR_HANDLE)

static vxf_tensor image_tensor(void) {
    static int16_t voxels[VOXELS];
    static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
    return host_tensor(VXF_DTYPE_I16, voxels, 3, shape);
}

static void library(void) {
    vxf_error_info info;
    int32_t count;
    CHECK(vxf_abi_version() == 0);
    CHECK(vxf_version_string()[0] && vxf_build_info()[0] == '{');
    CHECK(strcmp(vxf_status_name(12345), "VXF_STATUS_UNKNOWN") == 0);
    CHECK(strcmp(vxf_last_error_message(), "") == 0);
    info.struct_size = sizeof info;
    OK(vxf_last_error_info(&info));
    CHECK(info.status == VXF_STATUS_OK && info.sample == -1 && strcmp(info.path, "") == 0);
    OK(vxf_cuda_device_count(&count));
    OK(vxf_set_log(0, 0, NULL, NULL));
    OK(vxf_process_events());
}

static void nulls(void) {
    const uint64_t one[1] = {0};
    vxf_tensor tensor = image_tensor(), empty = image_tensor();
    vxf_montage_column column, none;
    vxf_sample samples[8];
    vxf_volume_info info;
    vxf_loader_stats stats;
    vxf_dataset *made = NULL;
    vxf_batch *again = NULL;
    struct DLManagedTensorVersioned *exported = NULL;
    struct DLManagedTensor *legacy = NULL;
    const char *text = NULL;
    void *event = NULL;
    size_t size = 0;
    uint64_t value;
    double share;
    empty.data = NULL;
    info.struct_size = sizeof info;
    stats.struct_size = sizeof stats;
    memset(&column, 0, sizeof column);
    memset(&none, 0, sizeof none);
    column.volume = &tensor;

    ARGUMENT(vxf_last_error_info(NULL));
    ARGUMENT(vxf_cuda_device_count(NULL));
    ARGUMENT(vxf_dataset_options_init(NULL, sizeof(vxf_dataset_options)));
    ARGUMENT(vxf_file_options_init(NULL, sizeof(vxf_file_options)));
    ARGUMENT(vxf_sampler_options_init(NULL, sizeof(vxf_sampler_options)));
    ARGUMENT(vxf_loader_options_init(NULL, sizeof(vxf_loader_options)));
    ARGUMENT(vxf_assembler_options_init(NULL, sizeof(vxf_assembler_options)));
    ARGUMENT(vxf_writer_options_init(NULL, sizeof(vxf_writer_options)));
    ARGUMENT(vxf_montage_options_init(NULL, sizeof(vxf_montage_options)));

    ARGUMENT(vxf_dataset_open(NULL, NULL, &made));
    OK(vxf_volume_save("one.npy", &tensor, NULL));
    ARGUMENT(vxf_dataset_open("one.npy", NULL, NULL));
    ARGUMENT(vxf_dataset_new(NULL, NULL));
    HANDLE(vxf_dataset_add_subject(NULL, "x", &value));
    ARGUMENT(vxf_dataset_add_subject(dataset, NULL, &value));
    HANDLE(vxf_dataset_add_file(NULL, 0, "c", "e", "one.npy", NULL));
    ARGUMENT(vxf_dataset_add_file(dataset, 0, NULL, "e", "one.npy", NULL));
    ARGUMENT(vxf_dataset_add_file(dataset, 0, "c", NULL, "one.npy", NULL));
    ARGUMENT(vxf_dataset_add_file(dataset, 0, "c", "e", NULL, NULL));
    HANDLE(vxf_dataset_add_tensor(NULL, 0, "c", "e", &tensor, NULL));
    ARGUMENT(vxf_dataset_add_tensor(dataset, 0, NULL, "e", &tensor, NULL));
    ARGUMENT(vxf_dataset_add_tensor(dataset, 0, "c", NULL, &tensor, NULL));
    ARGUMENT(vxf_dataset_add_tensor(dataset, 0, "c", "e", NULL, NULL));
    ARGUMENT(vxf_dataset_add_tensor(dataset, 0, "c", "e", &empty, NULL));
    HANDLE(vxf_dataset_set_attribute(NULL, 0, "n", "1"));
    ARGUMENT(vxf_dataset_set_attribute(dataset, 0, NULL, "1"));
    ARGUMENT(vxf_dataset_set_attribute(dataset, 0, "n", NULL));
    HANDLE(vxf_dataset_set_split(NULL, "train", one, 1));
    ARGUMENT(vxf_dataset_set_split(dataset, NULL, one, 1));
    ARGUMENT(vxf_dataset_set_split(dataset, "train", NULL, 1));
    HANDLE(vxf_dataset_split(NULL, "train", &made));
    ARGUMENT(vxf_dataset_split(dataset, NULL, &made));
    OK(vxf_dataset_set_split(dataset, "train", one, 1));
    ARGUMENT(vxf_dataset_split(dataset, "train", NULL));
    HANDLE(vxf_dataset_subset(NULL, one, 1, &made));
    ARGUMENT(vxf_dataset_subset(dataset, NULL, 1, &made));
    ARGUMENT(vxf_dataset_subset(dataset, one, 1, NULL));
    HANDLE(vxf_dataset_len(NULL, &value));
    ARGUMENT(vxf_dataset_len(dataset, NULL));
    HANDLE(vxf_dataset_preload(NULL, 0, NULL, NULL));
    OK(vxf_dataset_preload(dataset, 0, NULL, NULL));
    HANDLE(vxf_dataset_evict(NULL));
    OK(vxf_dataset_evict(dataset));
    HANDLE(vxf_dataset_subject_id(NULL, 0, &text));
    ARGUMENT(vxf_dataset_subject_id(dataset, 0, NULL));
    HANDLE(vxf_dataset_find(NULL, "s0", &value));
    ARGUMENT(vxf_dataset_find(dataset, NULL, &value));
    ARGUMENT(vxf_dataset_find(dataset, "s0", NULL));
    HANDLE(vxf_dataset_categories(NULL, 0, &text));
    ARGUMENT(vxf_dataset_categories(dataset, 0, NULL));
    HANDLE(vxf_dataset_attribute(NULL, 0, "a", &text));
    OK(vxf_dataset_attribute(dataset, 0, NULL, &text));
    ARGUMENT(vxf_dataset_attribute(dataset, 0, NULL, NULL));
    HANDLE(vxf_dataset_volume_info(NULL, 0, "images", "T1", &info));
    ARGUMENT(vxf_dataset_volume_info(dataset, 0, NULL, "T1", &info));
    OK(vxf_dataset_volume_info(dataset, 0, "images", NULL, &info));
    ARGUMENT(vxf_dataset_volume_info(dataset, 0, "images", "T1", NULL));
    HANDLE(vxf_dataset_read(NULL, 0, "images", "T1", NULL, &tensor));
    ARGUMENT(vxf_dataset_read(dataset, 0, NULL, "T1", NULL, &tensor));
    ARGUMENT(vxf_dataset_read(dataset, 0, "images", NULL, NULL, &tensor));
    OK(vxf_dataset_read(dataset, 0, "images", "T1", NULL, &tensor));
    ARGUMENT(vxf_dataset_read(dataset, 0, "images", "T1", NULL, NULL));
    ARGUMENT(vxf_dataset_read(dataset, 0, "images", "T1", NULL, &empty));

    HANDLE(vxf_sampler_new(NULL, NULL, &sampler));
    ARGUMENT(vxf_sampler_new(dataset, NULL, NULL));
    HANDLE(vxf_sampler_len(NULL, &value));
    ARGUMENT(vxf_sampler_len(sampler, NULL));
    HANDLE(vxf_sampler_get(NULL, 0, 0, 0, samples));
    ARGUMENT(vxf_sampler_get(sampler, 0, 0, 0, NULL));
    ARGUMENT(vxf_transform_parse(NULL, &transform));
    ARGUMENT(vxf_transform_parse("[]", NULL));

    HANDLE(vxf_loader_new(NULL, NULL, &loader));
    ARGUMENT(vxf_loader_new(sampler, NULL, NULL));
    HANDLE(vxf_loader_start(NULL, 0));
    HANDLE(vxf_loader_len(NULL, &value));
    ARGUMENT(vxf_loader_len(loader, NULL));
    HANDLE(vxf_loader_next(NULL, -1, &again));
    ARGUMENT(vxf_loader_next(loader, -1, NULL));
    ARGUMENT(vxf_loader_next(loader, -1, (vxf_batch **)(void *)((char *)&again + 1)));
    HANDLE(vxf_loader_cancel(NULL));
    HANDLE(vxf_loader_close(NULL, 0));
    HANDLE(vxf_loader_save_state(NULL, NULL, &size));
    ARGUMENT(vxf_loader_save_state(loader, NULL, NULL));
    HANDLE(vxf_loader_load_state(NULL, "{}"));
    ARGUMENT(vxf_loader_load_state(loader, NULL));
    HANDLE(vxf_loader_get_stats(NULL, &stats));
    ARGUMENT(vxf_loader_get_stats(loader, NULL));

    HANDLE(vxf_batch_tensor(NULL, NULL, &tensor));
    ARGUMENT(vxf_batch_tensor(batch, NULL, NULL));
    HANDLE(vxf_batch_categories(NULL, &text));
    ARGUMENT(vxf_batch_categories(batch, NULL));
    HANDLE(vxf_dataset_splits(NULL, &text));
    ARGUMENT(vxf_dataset_splits(dataset, NULL));
    HANDLE(vxf_batch_len(NULL, &value));
    ARGUMENT(vxf_batch_len(batch, NULL));
    HANDLE(vxf_batch_samples(NULL, samples, 8));
    ARGUMENT(vxf_batch_samples(batch, NULL, 8));
    FAILS(vxf_batch_samples(batch, samples, 0), VXF_STATUS_ERR_BUFFER);
    HANDLE(vxf_batch_copy_to(NULL, NULL, &tensor));
    ARGUMENT(vxf_batch_copy_to(batch, NULL, NULL));
    HANDLE(vxf_batch_wait(NULL, NULL));
    OK(vxf_batch_wait(batch, NULL));
    HANDLE(vxf_batch_record_stream(NULL, NULL));
    OK(vxf_batch_record_stream(batch, NULL));
    HANDLE(vxf_batch_ready_event(NULL, &event));
    ARGUMENT(vxf_batch_ready_event(batch, NULL));
    FAILS(vxf_batch_ready_event(batch, &event), VXF_STATUS_ERR_UNSUPPORTED);
    HANDLE(vxf_batch_query(NULL));
    OK(vxf_batch_query(batch));
    ARGUMENT(vxf_pinned_alloc(16, NULL));
    vxf_pinned_free(NULL);
    HANDLE(vxf_batch_retain(NULL, &again));
    ARGUMENT(vxf_batch_retain(batch, NULL));
    HANDLE(vxf_batch_dlpack(NULL, NULL, 0, NULL, &exported));
    ARGUMENT(vxf_batch_dlpack(batch, NULL, 0, NULL, NULL));
    HANDLE(vxf_batch_dlpack_legacy(NULL, NULL, 0, NULL, &legacy));
    ARGUMENT(vxf_batch_dlpack_legacy(batch, NULL, 0, NULL, NULL));

    HANDLE(vxf_assembler_new(NULL, NULL, &assembler));
    ARGUMENT(vxf_assembler_new(loader, NULL, NULL));
    HANDLE(vxf_assembler_add(NULL, batch, &tensor));
    HANDLE(vxf_assembler_add(assembler, NULL, &tensor));
    ARGUMENT(vxf_assembler_add(assembler, batch, NULL));
    HANDLE(vxf_assembler_add_async(NULL, batch, &tensor, NULL));
    HANDLE(vxf_assembler_add_async(assembler, NULL, &tensor, NULL));
    ARGUMENT(vxf_assembler_add_async(assembler, batch, NULL, NULL));
    OK(vxf_batch_samples(batch, samples, 8));
    HANDLE(vxf_assembler_add_samples(NULL, samples, 1, &tensor));
    ARGUMENT(vxf_assembler_add_samples(assembler, NULL, DEPTH, &tensor));
    ARGUMENT(vxf_assembler_add_samples(assembler, samples, 1, NULL));
    HANDLE(vxf_assembler_next_complete(NULL, &value));
    ARGUMENT(vxf_assembler_next_complete(assembler, NULL));
    HANDLE(vxf_assembler_shape(NULL, 0, &tensor));
    FAILS(vxf_assembler_shape(assembler, 0, NULL), VXF_STATUS_ERR_NOT_FOUND);
    HANDLE(vxf_assembler_coverage(NULL, 0, &share));
    FAILS(vxf_assembler_coverage(assembler, 0, NULL), VXF_STATUS_ERR_NOT_FOUND);
    HANDLE(vxf_assembler_take(NULL, 0, VXF_COMPLETENESS_PARTIAL, &tensor));
    ARGUMENT(vxf_assembler_take(assembler, 0, VXF_COMPLETENESS_PARTIAL, NULL));
    HANDLE(vxf_assembler_save(NULL, 0, VXF_COMPLETENESS_PARTIAL, "x.npy"));
    ARGUMENT(vxf_assembler_save(assembler, 0, VXF_COMPLETENESS_PARTIAL, NULL));

    ARGUMENT(vxf_writer_create(NULL, NULL, &writer));
    ARGUMENT(vxf_writer_create("null.h5", NULL, NULL));
    HANDLE(vxf_writer_add_subject(NULL, "s"));
    ARGUMENT(vxf_writer_add_subject(writer, NULL));
    HANDLE(vxf_writer_add_entry(NULL, "c", "e", &tensor, NULL));
    ARGUMENT(vxf_writer_add_entry(writer, NULL, "e", &tensor, NULL));
    ARGUMENT(vxf_writer_add_entry(writer, "c", NULL, &tensor, NULL));
    ARGUMENT(vxf_writer_add_entry(writer, "c", "e", NULL, NULL));
    ARGUMENT(vxf_writer_add_entry(writer, "c", "e", &empty, NULL));
    HANDLE(vxf_writer_add_dataset(NULL, dataset, NULL, NULL));
    HANDLE(vxf_writer_add_dataset(writer, NULL, NULL, NULL));
    HANDLE(vxf_writer_finish(NULL));
    ARGUMENT(vxf_volume_save(NULL, &tensor, NULL));
    ARGUMENT(vxf_volume_save("x.npy", NULL, NULL));
    ARGUMENT(vxf_volume_save("x.npy", &empty, NULL));
    ARGUMENT(vxf_montage_save(NULL, &column, 1, NULL));
    ARGUMENT(vxf_montage_save("x.png", NULL, 1, NULL));
    ARGUMENT(vxf_montage_save("x.png", &none, 1, NULL));

    vxf_dataset_free(NULL);
    vxf_sampler_free(NULL);
    vxf_transform_free(NULL);
    vxf_batch_release(NULL);
    vxf_dlpack_capsule_free(NULL);
    vxf_loader_free(NULL);
    vxf_assembler_free(NULL);
    vxf_writer_free(NULL);
    CHECK(made == NULL && again == NULL);
}

/* A handle of another kind, first alive, then freed: both are told apart from a living one of this kind. */
static void strangers(void *stranger) {
    vxf_tensor tensor = image_tensor();
    uint64_t value;
    vxf_batch *out = NULL;
    if (stranger != (void *)dataset) HANDLE(vxf_dataset_len(stranger, &value));
    if (stranger != (void *)sampler) HANDLE(vxf_sampler_len(stranger, &value));
    if (stranger != (void *)loader) {
        HANDLE(vxf_loader_next(stranger, 0, &out));
        HANDLE(vxf_loader_start(stranger, 0));
    }
    if (stranger != (void *)batch) HANDLE(vxf_batch_len(stranger, &value));
    if (stranger != (void *)assembler) HANDLE(vxf_assembler_next_complete(stranger, &value));
    if (stranger != (void *)writer) HANDLE(vxf_writer_finish(stranger));
    /* Freeing through the wrong function must not take it away. */
    if (stranger != (void *)dataset) vxf_dataset_free(stranger);
    if (stranger != (void *)sampler) vxf_sampler_free(stranger);
    if (stranger != (void *)transform) vxf_transform_free(stranger);
    if (stranger != (void *)loader) vxf_loader_free(stranger);
    if (stranger != (void *)batch) vxf_batch_release(stranger);
    if (stranger != (void *)assembler) vxf_assembler_free(stranger);
    if (stranger != (void *)writer) vxf_writer_free(stranger);
    (void)tensor;
}

static void success_keeps_the_message(void) {
    char before[256];
    uint64_t value;
    plant_message();
    snprintf(before, sizeof before, "%s", vxf_last_error_message());
    OK(vxf_dataset_len(dataset, &value));
    OK(vxf_sampler_len(sampler, &value));
    OK(vxf_loader_len(loader, &value));
    CHECK_STATUS(vxf_assembler_next_complete(assembler, &value), VXF_STATUS_NOT_READY);
    CHECK(strcmp(before, vxf_last_error_message()) == 0);
}

int main(void) {
    unsigned char zeros[4096];
    uint64_t value;
    vxf_batch *stale, *other = NULL;
    library();
    dataset = small_dataset(2);
    sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    OK(vxf_transform_parse("[]", &transform));
    loader = small_loader(sampler, 2, 1);
    OK(vxf_loader_start(loader, 0));
    OK(vxf_loader_next(loader, -1, &batch));
    OK(vxf_assembler_new(loader, NULL, &assembler));
    OK(vxf_writer_create("out.h5", NULL, &writer));

    nulls();
    success_keeps_the_message();
    strangers(dataset);
    strangers(sampler);
    strangers(transform);
    strangers(loader);
    strangers(batch);
    strangers(assembler);
    strangers(writer);
    memset(zeros, 0, sizeof zeros);
    strangers(zeros);
    strangers((void *)(zeros + 1));

    stale = batch;
    vxf_batch_release(batch);
    HANDLE(vxf_batch_len(stale, &value));
    HANDLE(vxf_batch_retain(stale, &other));
    vxf_batch_release(stale);
    batch = NULL;
    vxf_writer_free(writer);
    HANDLE(vxf_writer_add_subject(writer, "s"));
    vxf_assembler_free(assembler);
    HANDLE(vxf_assembler_coverage(assembler, 0, &(double){0}));
    vxf_loader_free(loader);
    HANDLE(vxf_loader_cancel(loader));
    vxf_loader_free(loader);
    vxf_transform_free(transform);
    vxf_transform_free(transform);
    vxf_sampler_free(sampler);
    HANDLE(vxf_sampler_len(sampler, &value));
    vxf_dataset_free(dataset);
    CHECK_STATUS(vxf_dataset_len(dataset, &value), VXF_STATUS_ERR_HANDLE);
    return 0;
}
