/* Asks for a GPU once and says what came; what drivers are here is up to who runs it. */
#include "check.h"

int main(int count, char **arguments) {
    vxf_dataset *dataset = small_dataset(1);
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_DROP);
    vxf_loader_options options;
    vxf_loader *loader = NULL;
    vxf_error_info info;
    vxf_status status;
    int32_t devices = -1;
    void *memory = NULL;
    OK(vxf_cuda_device_count(&devices));
    CHECK(vxf_last_error_message()[0] == '\0');
    OK(vxf_loader_options_init(&options, sizeof options));
    options.device = count > 1 && strcmp(arguments[1], "host") == 0 ? VXF_DEVICE_CUDA_HOST : VXF_DEVICE_CUDA;
    options.device_id = count > 2 ? (int32_t)atoi(arguments[2]) : 0;
    status = vxf_loader_new(sampler, &options, &loader);
    if (status == VXF_STATUS_OK) {
        vxf_batch *batch = NULL;
        OK(vxf_loader_start(loader, 0));
        OK(vxf_loader_next(loader, 60000000000, &batch));
        OK(vxf_batch_wait(batch, (vxf_stream)-1));
        vxf_batch_release(batch);
        OK(vxf_loader_close(loader, -1));
        vxf_loader_free(loader);
        OK(vxf_pinned_alloc(64, &memory));
        vxf_pinned_free(memory);
        printf("%d devices; OK\n", (int)devices);
    } else {
        info.struct_size = sizeof info;
        OK(vxf_last_error_info(&info));
        printf("%d devices; %s (%d): %s\n", (int)devices, vxf_status_name(status), (int)info.device_error,
               vxf_last_error_message());
        CHECK(loader == NULL);
    }
    /* Who asks for no GPU has a loader all the same. */
    options.device = VXF_DEVICE_CPU;
    OK(vxf_loader_new(sampler, &options, &loader));
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
