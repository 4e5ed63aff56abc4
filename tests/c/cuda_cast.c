/* Stored voxels cross to the GPU and become there what the host would have made of them. */
#include "cuda_check.h"

#define TO_F32 "{\"name\":\"cast\",\"category\":\"images\",\"dtype\":\"f32\"}"
#define SCALE ",{\"name\":\"scale\",\"category\":\"images\",\"slope\":0.3,\"offset\":7}"
#define STEPS ",{\"name\":\"window\",\"category\":\"images\",\"low\":100,\"high\":900,\"to\":[-1,1]}" SCALE
#define EACH ",{\"name\":\"zscore\",\"category\":\"images\",\"mean\":[500,1500],\"std\":[300,310]}"
#define OWN ",{\"name\":\"zscore\",\"category\":\"images\",\"statistics\":\"subject\",\"voxels\":\"nonzero\"}"
#define LABELS                                                                                      \
    ",{\"name\":\"cast\",\"category\":\"labels\",\"dtype\":\"i64\"}"                                \
    ",{\"name\":\"lookup\",\"category\":\"labels\",\"map\":{\"1\":7,\"2\":-9},\"default\":\"keep\"}"

static vxf_sampler *sampler;

/* Feeds an epoch twice; how many bytes crossed. */
static uint64_t fed(vxf_cast cast, const char *chain) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    vxf_loader_stats stats;
    vxf_transform *transform = NULL;
    vxf_loader *loader;
    truth *all;
    unsigned char *copy;
    int epoch, number, category;
    OK(vxf_transform_parse(chain, &transform));
    all = truth_of(sampler, transform);
    options.transform = transform;
    options.cast = cast;
    loader = begun(sampler, &options);
    for (epoch = 0; epoch < 2; epoch++) {
        OK(vxf_loader_start(loader, 0));
        for (number = 0; number < BATCHES; number++) {
            vxf_batch *batch = next_batch(loader);
            for (category = 0; category < CATEGORIES; category++) {
                vxf_tensor tensor = tensor_of(batch, category), to = tensor;
                CHECK(tensor_bytes(&tensor) == all->len[category]);
                to.device = VXF_DEVICE_CPU;
                to.data = copy = malloc(all->len[category]);
                OK(vxf_batch_copy_to(batch, CATEGORY[category], &to));
                CHECK(memcmp(copy, all->bytes[number][category], all->len[category]) == 0);
                free(copy);
            }
            vxf_batch_release(batch);
        }
    }
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    CHECK(stats.uploads >= 2 * BATCHES);
    OK(vxf_loader_close(loader, -1));
    CHECK(standin_holds().device_blocks == 0 && standin_holds().events == 0);
    vxf_loader_free(loader);
    vxf_transform_free(transform);
    free_truth(all);
    return stats.upload_bytes / stats.uploads;
}

/* The padding's number must be one that the stored dtype has. */
static void padding(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_transform *transform = NULL;
    vxf_category images;
    vxf_loader *loader = NULL;
    OK(vxf_transform_parse("[" TO_F32 "]", &transform));
    memset(&images, 0, sizeof images);
    images.name = "images";
    images.padding = VXF_PADDING_CONSTANT;
    images.pad_value = 0.5;
    options.categories = &images;
    options.category_count = 1;
    options.transform = transform;
    options.cast = VXF_CAST_DEVICE;
    REFUSED(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_UNSUPPORTED, "images");
    images.pad_value = -7;
    OK(vxf_loader_new(sampler, &options, &loader));
    vxf_loader_free(loader);
    vxf_transform_free(transform);
}

int main(void) {
    const uint64_t voxels = ROWS * 4 * 4 * 4, stored = voxels * (2 * 2 + 1);
    vxf_loader_options options = loader_options(VXF_DEVICE_CPU, 0, 1);
    vxf_loader *loader = NULL;
    sampler = patches();
    CHECK(fed(VXF_CAST_AUTO, "[" TO_F32 "]") == stored);
    CHECK(fed(VXF_CAST_AUTO, "[" TO_F32 STEPS LABELS "]") == stored);
    CHECK(fed(VXF_CAST_DEVICE, "[" TO_F32 STEPS LABELS "]") == stored);
    CHECK(fed(VXF_CAST_HOST, "[" TO_F32 STEPS LABELS "]") == voxels * (2 * 4 + 8));
    CHECK(fed(VXF_CAST_AUTO, "[" TO_F32 EACH "]") == stored + ROWS * 2 * 2 * sizeof(float));
    CHECK(fed(VXF_CAST_DEVICE, "[" TO_F32 OWN SCALE LABELS "]") == stored + ROWS * 2 * 2 * sizeof(float));
    CHECK(fed(VXF_CAST_AUTO, "[]") == stored);
    padding();
    options.cast = VXF_CAST_DEVICE;
    REFUSED(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_ARGUMENT, "VXF_CAST_DEVICE");
    no_violations();
    vxf_sampler_free(sampler);
    return 0;
}
