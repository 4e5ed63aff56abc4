/* Deflated volumes read slab by slab: the options, the same voxels, and the files of indexes. */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

enum { SLICES = 40, EDGE = 160, ALL = SLICES * EDGE * EDGE };

static int16_t voxels[ALL], seen[ALL];
static const int64_t shape[3] = {SLICES, EDGE, EDGE};

/* Opens the volume so and reads all of it, and one slice before that. */
static void read_all(const vxf_dataset_options *options) {
    vxf_tensor all = host_tensor(VXF_DTYPE_I16, seen, 3, shape);
    static const int64_t thin[3] = {1, EDGE, EDGE};
    vxf_tensor slice = host_tensor(VXF_DTYPE_I16, seen, 3, thin);
    vxf_region region;
    vxf_dataset *dataset = NULL;
    memset(&region, 0, sizeof region);
    region.offset[0] = 31;
    region.shape[0] = 1;
    OK(vxf_dataset_open("scan.nii.gz", options, &dataset));
    OK(vxf_dataset_read(dataset, 0, "images", NULL, &region, &slice));
    CHECK(memcmp(seen, voxels + 31 * EDGE * EDGE, sizeof(int16_t) * EDGE * EDGE) == 0);
    memset(seen, 0, sizeof seen);
    OK(vxf_dataset_read(dataset, 0, "images", NULL, NULL, &all));
    CHECK(memcmp(seen, voxels, sizeof voxels) == 0);
    vxf_dataset_free(dataset);
}

int main(void) {
    vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, voxels, 3, shape);
    vxf_dataset_options options;
    vxf_dataset *none = NULL;
    struct stat status;
    uint32_t noise = 1;
    int k;
    for (k = 0; k < ALL; k++) {
        noise = noise * 1664525u + 1013904223u;
        voxels[k] = (int16_t)(k / 700 + (int)(noise >> 28));
    }
    OK(vxf_volume_save("scan.nii.gz", &tensor, NULL));
    CHECK(mkdir("indexes", 0755) == 0);

    OK(vxf_dataset_options_init(&options, sizeof options));
    CHECK(options.seek_index == VXF_SEEK_INDEX_AUTO && options.index_place == VXF_INDEX_PLACE_AUTO);
    CHECK(options.index_folder == NULL);
    options.index_folder = "no such folder";
    REFUSED(vxf_dataset_open("scan.nii.gz", &options, &none), VXF_STATUS_ERR_NOT_FOUND, "no such folder");
    options.index_folder = "indexes";
    options.index_place = VXF_INDEX_PLACE_BESIDE;
    REFUSED(vxf_dataset_open("scan.nii.gz", &options, &none), VXF_STATUS_ERR_ARGUMENT, "index_folder");
    CHECK(none == NULL);

    options.index_folder = NULL;
    options.seek_index = VXF_SEEK_INDEX_NEVER;
    read_all(&options);
    CHECK(stat("scan.nii.gz.vxfindex", &status) != 0);
    options.seek_index = VXF_SEEK_INDEX_ALWAYS;
    read_all(&options);
    CHECK(stat("scan.nii.gz.vxfindex", &status) == 0 && status.st_size > 0);
    read_all(&options);
    CHECK(unlink("scan.nii.gz.vxfindex") == 0);

    options.index_place = VXF_INDEX_PLACE_AUTO;
    read_all(&options);
    CHECK(stat("scan.nii.gz.vxfindex", &status) != 0 && rmdir("indexes") == 0 && mkdir("indexes", 0755) == 0);
    options.seek_index = VXF_SEEK_INDEX_AUTO;
    options.cache_bytes = 1;
    options.index_folder = "indexes";
    read_all(&options);
    CHECK(rmdir("indexes") != 0);
    read_all(&options);
    return 0;
}
