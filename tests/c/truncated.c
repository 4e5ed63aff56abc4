/* A file that shrinks between two batches fails the batches that need it, each once and in order. */
#include <unistd.h>

#include "check.h"

enum { EDGE = 32, SUBJECTS = 3 };

static char name[16];

static vxf_dataset *three_files(const char *kind, vxf_io io) {
    static int16_t voxels[EDGE * EDGE * EDGE];
    static const int64_t shape[3] = {EDGE, EDGE, EDGE};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, voxels, 3, shape);
    vxf_dataset_options options;
    vxf_dataset *dataset = NULL;
    int number;
    OK(vxf_dataset_options_init(&options, sizeof options));
    options.io = io;
    OK(vxf_dataset_new(&options, &dataset));
    for (number = 0; number < SUBJECTS; number++) {
        uint64_t subject;
        char id[8];
        sprintf(id, "s%d", number);
        sprintf(name, "s%d%s", number, kind);
        OK(vxf_volume_save(name, &tensor, NULL));
        OK(vxf_dataset_add_subject(dataset, id, &subject));
        OK(vxf_dataset_add_file(dataset, subject, "images", "T1", name, NULL));
    }
    return dataset;
}

static void run(const char *kind, vxf_io io, vxf_on_error on_error) {
    vxf_dataset *dataset = three_files(kind, io);
    vxf_sampler_options rule;
    vxf_sampler *sampler = NULL;
    vxf_loader_options options;
    vxf_loader *loader = NULL;
    vxf_batch *held[2] = {NULL, NULL}, *batch = NULL;
    vxf_sample sample;
    vxf_error_info info;
    uint64_t position;
    OK(vxf_sampler_options_init(&rule, sizeof rule));
    rule.kind = VXF_SAMPLER_KIND_SLICES;
    OK(vxf_sampler_new(dataset, &rule, &sampler));
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = 1;
    options.prefetch = 1;
    options.threads = 2;
    options.on_error = on_error;
    OK(vxf_loader_new(sampler, &options, &loader));
    OK(vxf_loader_start(loader, 0));
    /* With both batches held no thread can read, so the file shrinks at a known place. */
    OK(vxf_loader_next(loader, -1, &held[0]));
    OK(vxf_loader_next(loader, -1, &held[1]));
    sprintf(name, "s1%s", kind);
    CHECK(truncate(name, 1000) == 0);
    vxf_batch_release(held[0]);
    vxf_batch_release(held[1]);
    for (position = 2; position < SUBJECTS * EDGE; position++) {
        vxf_status status = vxf_loader_next(loader, -1, &batch);
        if (position / EDGE != 1) {
            CHECK(status == VXF_STATUS_OK);
            OK(vxf_batch_samples(batch, &sample, 1));
            CHECK(sample.position == position);
            vxf_batch_release(batch);
            continue;
        }
        CHECK(status == VXF_STATUS_ERR_FORMAT);
        CHECK(strstr(vxf_last_error_message(), name) != NULL);
        CHECK(strstr(vxf_last_error_message(), "\"s1\"") != NULL);
        info.struct_size = sizeof info;
        OK(vxf_last_error_info(&info));
        CHECK(info.sample == (int64_t)position && strstr(info.path, name) != NULL);
        if (on_error == VXF_ON_ERROR_STOP) break;
    }
    CHECK_STATUS(vxf_loader_next(loader, -1, &batch), VXF_STATUS_END);
    OK(vxf_loader_start(loader, 1));
    OK(vxf_loader_next(loader, -1, &batch));
    vxf_batch_release(batch);
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
}

int main(void) {
    static const char *const kinds[] = {".npy", ".nii", ".h5"};
    int kind;
    for (kind = 0; kind < 3; kind++) {
        run(kinds[kind], VXF_IO_MAP, VXF_ON_ERROR_CONTINUE);
        run(kinds[kind], VXF_IO_MAP, VXF_ON_ERROR_STOP);
        run(kinds[kind], VXF_IO_POSITIONAL, VXF_ON_ERROR_CONTINUE);
        run(kinds[kind], VXF_IO_POSITIONAL, VXF_ON_ERROR_STOP);
    }
    return 0;
}
