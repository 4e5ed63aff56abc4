/* What makes no sense is refused by name, and what the system says comes back with its number. */
#include "check.h"

typedef void (*change)(vxf_sampler_options *options);

static void set_axes(vxf_sampler_options *options) { options->axis_count = 1; }
static void set_patch(vxf_sampler_options *options) { options->patch_shape[1] = 2; }
static void set_stride(vxf_sampler_options *options) { options->stride[0] = 2; }
static void set_overlap(vxf_sampler_options *options) { options->overlap[2] = 1; }
static void set_border(vxf_sampler_options *options) { options->border = VXF_BORDER_SHIFT; }
static void set_count(vxf_sampler_options *options) { options->samples_per_subject = 3; }

static const struct {
    const char *field;
    change set;
    /* The kinds that use it, as bits. */
    int kinds;
} FIELDS[] = {
    {"axis_count", set_axes, 1 << VXF_SAMPLER_KIND_SLICES},
    {"patch_shape", set_patch, 1 << VXF_SAMPLER_KIND_GRID | 1 << VXF_SAMPLER_KIND_UNIFORM},
    {"stride", set_stride, 1 << VXF_SAMPLER_KIND_GRID},
    {"overlap", set_overlap, 1 << VXF_SAMPLER_KIND_GRID},
    {"border", set_border, 1 << VXF_SAMPLER_KIND_GRID},
    {"samples_per_subject", set_count, 1 << VXF_SAMPLER_KIND_UNIFORM},
};

int main(void) {
    vxf_dataset *dataset = small_dataset(1);
    const double flat[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    const double plane[16] = {1, 1, 0, 0, 0, 0, 1, 0, 2, 2, 0, 0, 0, 0, 0, 1};
    int16_t voxels[8] = {0};
    const int64_t shape[3] = {2, 2, 2};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, voxels, 3, shape);
    vxf_error_info info;
    uint64_t subject = 0;
    int field, kind;
    for (field = 0; field < (int)(sizeof FIELDS / sizeof *FIELDS); field++) {
        for (kind = 0; kind < 4; kind++) {
            vxf_sampler_options options;
            vxf_sampler *sampler = NULL;
            OK(vxf_sampler_options_init(&options, sizeof options));
            options.kind = kind;
            if (kind == VXF_SAMPLER_KIND_GRID) options.patch_shape[2] = 3;
            FIELDS[field].set(&options);
            if (FIELDS[field].kinds >> kind & 1) {
                OK(vxf_sampler_new(dataset, &options, &sampler));
            } else {
                REFUSED(vxf_sampler_new(dataset, &options, &sampler), VXF_STATUS_ERR_ARGUMENT, FIELDS[field].field);
            }
            vxf_sampler_free(sampler);
        }
    }
    {
        vxf_sampler_options options;
        vxf_sampler *sampler = NULL;
        OK(vxf_sampler_options_init(&options, sizeof options));
        options.kind = 99;
        set_stride(&options);
        REFUSED(vxf_sampler_new(dataset, &options, &sampler), VXF_STATUS_ERR_ARGUMENT, "kind is 99");
        OK(vxf_sampler_options_init(&options, sizeof options));
        options.kind = VXF_SAMPLER_KIND_SLICES;
        options.axes[0] = 2;
        REFUSED(vxf_sampler_new(dataset, &options, &sampler), VXF_STATUS_ERR_ARGUMENT, "axis_count is 0");
    }
    OK(vxf_dataset_add_subject(dataset, "flat", &subject));
    REFUSED(vxf_dataset_add_tensor(dataset, subject, "c", "e", &tensor, flat), VXF_STATUS_ERR_ARGUMENT, "singular");
    REFUSED(vxf_dataset_add_tensor(dataset, subject, "c", "e", &tensor, plane), VXF_STATUS_ERR_ARGUMENT, "singular");
    REFUSED(vxf_volume_save("/proc/volume.nii", &tensor, NULL), VXF_STATUS_ERR_NOT_FOUND, "/proc/volume.nii");
    info.struct_size = sizeof info;
    OK(vxf_last_error_info(&info));
    CHECK(info.os_error == 2);
    REFUSED(vxf_volume_save("/proc", &tensor, NULL), VXF_STATUS_ERR_ARGUMENT, "ending");
    vxf_dataset_free(dataset);
    return 0;
}
