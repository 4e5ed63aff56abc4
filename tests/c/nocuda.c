/* No GPU is a fact and no failure, until somebody asks for one. */
#include "check.h"

int main(void) {
    vxf_dataset *dataset = small_dataset(1);
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_DROP);
    vxf_loader *loader = NULL;
    vxf_loader_options options;
    vxf_device devices[2] = {VXF_DEVICE_CUDA, VXF_DEVICE_CUDA_HOST};
    int32_t count = -1;
    int k;
    OK(vxf_cuda_device_count(&count));
    CHECK(count >= 0);
    CHECK(vxf_last_error_message()[0] == '\0');
    OK(vxf_loader_options_init(&options, sizeof options));
    for (k = 0; k < 2; k++) {
        options.device = devices[k];
        if (count == 0) {
            CHECK_STATUS(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_NO_DEVICE);
            CHECK(strstr(vxf_last_error_message(), "driver") != NULL);
        } else {
            CHECK(vxf_loader_new(sampler, &options, &loader) < 0);
        }
        CHECK(loader == NULL);
    }
    options.device = VXF_DEVICE_CPU;
    OK(vxf_loader_new(sampler, &options, &loader));
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
