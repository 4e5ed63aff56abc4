/* The program ends while threads of a loader read from HDF5, and nobody has freed anything. */
#include "check.h"

int main(void) {
    vxf_dataset *dataset = small_dataset(4), *file = NULL;
    vxf_writer_options options;
    vxf_writer *writer = NULL;
    vxf_sampler *sampler;
    vxf_loader *loader;
    vxf_batch *batch = NULL;
    OK(vxf_writer_options_init(&options, sizeof options));
    options.existing = VXF_EXISTING_REPLACE;
    OK(vxf_writer_create("exit.h5", &options, &writer));
    OK(vxf_writer_add_dataset(writer, dataset, NULL, NULL));
    OK(vxf_writer_finish(writer));
    vxf_writer_free(writer);
    OK(vxf_dataset_open("exit.h5", NULL, &file));
    sampler = grid_sampler(file, 2, VXF_BORDER_SHIFT);
    loader = small_loader(sampler, 8, 4);
    OK(vxf_loader_start(loader, 0));
    OK(vxf_loader_next(loader, -1, &batch));
    return 0;
}
