/* A driver that compiles no kernels: the host casts where nobody says otherwise, and an error says why. */
#include "cuda_check.h"

/* An image, a device, a text, no compiler, a version of the text, a compiler that is forbidden. */
static const CUresult REFUSALS[] = {200, 209, 218, 221, 222, 223};

static vxf_sampler *sampler;
static truth *all;

/* Feeds an epoch, whose bytes are the host's; how many bytes crossed for each batch. */
static uint64_t fed(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = begun(sampler, &options);
    vxf_loader_stats stats;
    int number, category;
    for (number = 0; number < BATCHES; number++) {
        vxf_batch *batch = next_batch(loader);
        for (category = 0; category < CATEGORIES; category++) {
            vxf_tensor to = tensor_of(batch, category);
            CHECK(tensor_bytes(&to) == all->len[category]);
            to.device = VXF_DEVICE_CPU;
            to.data = malloc(all->len[category]);
            OK(vxf_batch_copy_to(batch, CATEGORY[category], &to));
            CHECK(memcmp(to.data, all->bytes[number][category], all->len[category]) == 0);
            free(to.data);
        }
        vxf_batch_release(batch);
    }
    OK(vxf_loader_close(loader, -1));
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    vxf_loader_free(loader);
    return stats.upload_bytes / stats.uploads;
}

/* What a loader that casts so is refused with. */
static vxf_status refused(vxf_cast cast) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = NULL;
    vxf_status status;
    options.cast = cast;
    status = vxf_loader_new(sampler, &options, &loader);
    CHECK(loader == NULL);
    return status;
}

static void sums_need_kernels(void) {
    vxf_loader *loader = small_loader(sampler, ROWS, 1);
    vxf_assembler_options options;
    vxf_assembler *assembler = NULL;
    OK(vxf_assembler_options_init(&options, sizeof options));
    options.device = VXF_DEVICE_CUDA;
    CHECK_STATUS(vxf_assembler_new(loader, &options, &assembler), VXF_STATUS_ERR_DEVICE);
    CHECK(assembler == NULL);
    vxf_loader_free(loader);
}

int main(void) {
    vxf_transform *transform = steps_for_a_device();
    uint64_t bytes;
    size_t k;
    sampler = patches();
    all = truth_of(sampler, transform);
    used_transform = transform;
    bytes = all->len[0] + all->len[1];
    for (k = 0; k < sizeof REFUSALS / sizeof *REFUSALS; k++) {
        char number[16];
        sprintf(number, "(%d)", REFUSALS[k]);
        standin_fail("cuModuleLoadDataEx", 0, REFUSALS[k]);
        CHECK(fed() == bytes);
        REFUSED(refused(VXF_CAST_DEVICE), VXF_STATUS_ERR_DEVICE, number);
        CHECK(strchr(vxf_last_error_message(), '\n') == NULL);
        CHECK((strstr(vxf_last_error_message(), "line 7; fatal   :; a stand-in's complaint") != NULL) ==
              (REFUSALS[k] == CUDA_ERROR_INVALID_PTX));
    }
    sums_need_kernels();
    CHECK(standin_calls("cuLaunchKernel", 0) == 0);
    /* What says nothing of kernels is no reason to go on. */
    standin_fail("cuModuleLoadDataEx", 0, CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_STATUS(refused(VXF_CAST_AUTO), VXF_STATUS_ERR_MEMORY);
    standin_fail("cuModuleLoadDataEx", 0, CUDA_ERROR_UNKNOWN);
    CHECK_STATUS(refused(VXF_CAST_AUTO), VXF_STATUS_ERR_DEVICE);
    standin_fail("cuModuleLoadDataEx", 0, CUDA_SUCCESS);
    CHECK(fed() < bytes && standin_calls("cuLaunchKernel", 0) > 0);
    free_truth(all);
    vxf_transform_free(transform);
    vxf_sampler_free(sampler);
    no_violations();
    CHECK(standin_await_nothing_held());
    return 0;
}
