/* Every field of constants, flags and reserved room with a number that it does not know. */
#include "check.h"

static const int32_t STRANGE[] = {-1, 99, INT32_MAX, INT32_MIN};

/* Sets a field of fresh options to each strange number; the call must name the field. */
#define EACH(type, init, field, call)                                                     \
    do {                                                                                  \
        int k;                                                                            \
        for (k = 0; k < 4; k++) {                                                         \
            type o;                                                                       \
            OK(init(&o, sizeof o));                                                       \
            o.field = STRANGE[k];                                                         \
            REFUSED(call, VXF_STATUS_ERR_ARGUMENT, #field);                               \
        }                                                                                 \
    } while (0)

#define CATEGORY(field, value, status)                                                    \
    do {                                                                                  \
        vxf_loader_options o;                                                             \
        vxf_category category;                                                            \
        memset(&category, 0, sizeof category);                                            \
        category.name = "images";                                                         \
        category.field = value;                                                           \
        OK(vxf_loader_options_init(&o, sizeof o));                                        \
        o.categories = &category;                                                         \
        o.category_count = 1;                                                             \
        CHECK_STATUS(vxf_loader_new(sampler, &o, &loader), status);                       \
        CHECK(strstr(vxf_last_error_message(), "images") != NULL || status == VXF_STATUS_ERR_UNSUPPORTED); \
    } while (0)

int main(void) {
    static uint8_t voxels[VOXELS];
    static const int64_t shape[3] = {DEPTH, HEIGHT, WIDTH};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_U8, voxels, 3, shape);
    vxf_dataset *dataset = small_dataset(1), *none = NULL;
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_DROP), *no_sampler = NULL;
    vxf_loader *loader = NULL, *good = small_loader(sampler, 1, 1);
    vxf_assembler *assembler = NULL;
    vxf_writer *writer = NULL;
    vxf_montage_column column;
    last_line told = {0, 0, ""};
    uint64_t subject;
    int k;

    for (k = 0; k < 4; k++) {
        REFUSED(vxf_set_log(STRANGE[k], VXF_LOG_MODE_DIRECT, keep_line, &told), VXF_STATUS_ERR_ARGUMENT, "level");
        REFUSED(vxf_set_log(VXF_LOG_LEVEL_INFO, STRANGE[k], keep_line, &told), VXF_STATUS_ERR_ARGUMENT, "mode");
    }
    OK(vxf_volume_save("volume.npy", &tensor, NULL));
    OK(vxf_dataset_add_subject(dataset, "more", &subject));
    EACH(vxf_dataset_options, vxf_dataset_options_init, io, vxf_dataset_new(&o, &none));
    EACH(vxf_dataset_options, vxf_dataset_options_init, geometry, vxf_dataset_new(&o, &none));
    EACH(vxf_dataset_options, vxf_dataset_options_init, seek_index, vxf_dataset_new(&o, &none));
    EACH(vxf_dataset_options, vxf_dataset_options_init, index_place, vxf_dataset_new(&o, &none));
    EACH(vxf_file_options, vxf_file_options_init, channel,
         vxf_dataset_add_file(dataset, subject, "c", "e", "volume.npy", &o));
    vxf_dataset_free(dataset);
    dataset = small_dataset(1);
    EACH(vxf_sampler_options, vxf_sampler_options_init, kind, vxf_sampler_new(dataset, &o, &no_sampler));
    EACH(vxf_sampler_options, vxf_sampler_options_init, border, vxf_sampler_new(dataset, &o, &no_sampler));
    EACH(vxf_loader_options, vxf_loader_options_init, device_id, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_assembler_options, vxf_assembler_options_init, device_id, vxf_assembler_new(good, &o, &assembler));
    EACH(vxf_loader_options, vxf_loader_options_init, order, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_loader_options, vxf_loader_options_init, last_batch, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_loader_options, vxf_loader_options_init, on_error, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_loader_options, vxf_loader_options_init, ragged, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_loader_options, vxf_loader_options_init, thin_axis, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_loader_options, vxf_loader_options_init, device, vxf_loader_new(sampler, &o, &loader));
    EACH(vxf_assembler_options, vxf_assembler_options_init, blend, vxf_assembler_new(good, &o, &assembler));
    EACH(vxf_assembler_options, vxf_assembler_options_init, reduce, vxf_assembler_new(good, &o, &assembler));
    EACH(vxf_assembler_options, vxf_assembler_options_init, dtype, vxf_assembler_new(good, &o, &assembler));
    EACH(vxf_assembler_options, vxf_assembler_options_init, accumulate, vxf_assembler_new(good, &o, &assembler));
    EACH(vxf_writer_options, vxf_writer_options_init, existing, vxf_writer_create("e.h5", &o, &writer));
    for (k = 0; k < 4; k++) {
        vxf_loader_options o;
        OK(vxf_loader_options_init(&o, sizeof o));
        o.endless = k ? (uint32_t)STRANGE[k] : 2;
        REFUSED(vxf_loader_new(sampler, &o, &loader), VXF_STATUS_ERR_ARGUMENT, "endless");
        CATEGORY(squeeze_channel, k ? (uint32_t)STRANGE[k] : 2, VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), "squeeze_channel") != NULL);
        CATEGORY(padding, STRANGE[k], VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), "padding") != NULL);
        CATEGORY(fit, STRANGE[k], VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), "fit") != NULL);
        CATEGORY(dtype, STRANGE[k], VXF_STATUS_ERR_ARGUMENT);
        CHECK(strstr(vxf_last_error_message(), "dtype") != NULL);
        CATEGORY(reserved[k], 1, VXF_STATUS_ERR_UNSUPPORTED);
        CHECK(strstr(vxf_last_error_message(), "reserved") != NULL);
    }
    OK(vxf_assembler_new(good, NULL, &assembler));
    for (k = 0; k < 4; k++) {
        REFUSED(vxf_assembler_save(assembler, 0, STRANGE[k], "e.npy"), VXF_STATUS_ERR_ARGUMENT, "completeness");
        memset(&column, 0, sizeof column);
        column.volume = &tensor;
        column.look = STRANGE[k];
        REFUSED(vxf_montage_save("e.png", &column, 1, NULL), VXF_STATUS_ERR_ARGUMENT, "look");
        tensor.dtype = STRANGE[k];
        REFUSED(vxf_volume_save("e.npy", &tensor, NULL), VXF_STATUS_ERR_ARGUMENT, "dtype");
        tensor.dtype = VXF_DTYPE_U8;
        tensor.device = STRANGE[k];
        CHECK(vxf_volume_save("e.npy", &tensor, NULL) < 0);
        CHECK(strstr(vxf_last_error_message(), "device") != NULL);
        tensor.device = VXF_DEVICE_CPU;
    }
    CHECK(none == NULL && no_sampler == NULL && loader == NULL && writer == NULL);
    vxf_assembler_free(assembler);
    vxf_loader_free(good);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
