/* Far more files than descriptors: every sample of every file arrives, whatever else the process has open. */
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

enum { EDGE = 8, COUNT = EDGE * EDGE * EDGE, SUBJECTS = 300, DATASETS = 2 };

static const char *const kinds[] = {".npy", ".nii", ".h5"};

static void write_files(void) {
    static int16_t voxels[COUNT];
    static const int64_t shape[3] = {EDGE, EDGE, EDGE};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, voxels, 3, shape);
    char name[32];
    int subject, k;
    for (subject = 0; subject < SUBJECTS; subject++) {
        for (k = 0; k < COUNT; k++) voxels[k] = (int16_t)(subject * 16 + k % 16);
        sprintf(name, "s%d%s", subject, kinds[subject % 3]);
        OK(vxf_volume_save(name, &tensor, NULL));
    }
}

static vxf_loader *loader_of(vxf_io io) {
    vxf_dataset_options options;
    vxf_dataset *dataset = NULL;
    vxf_sampler_options rule;
    vxf_sampler *sampler = NULL;
    vxf_loader_options how;
    vxf_loader *loader = NULL;
    int number;
    OK(vxf_dataset_options_init(&options, sizeof options));
    options.io = io;
    OK(vxf_dataset_new(&options, &dataset));
    for (number = 0; number < SUBJECTS; number++) {
        uint64_t subject;
        char id[32], name[32];
        sprintf(id, "s%d", number);
        sprintf(name, "s%d%s", number, kinds[number % 3]);
        OK(vxf_dataset_add_subject(dataset, id, &subject));
        OK(vxf_dataset_add_file(dataset, subject, "images", "T1", name, NULL));
    }
    OK(vxf_sampler_options_init(&rule, sizeof rule));
    rule.kind = VXF_SAMPLER_KIND_SLICES;
    OK(vxf_sampler_new(dataset, &rule, &sampler));
    OK(vxf_loader_options_init(&how, sizeof how));
    how.batch_size = 1;
    how.threads = 2;
    how.order = VXF_ORDER_SHUFFLED;
    OK(vxf_loader_new(sampler, &how, &loader));
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return loader;
}

static int open_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    CHECK(folder != NULL);
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
}

static void allow(int descriptors) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = (rlim_t)descriptors;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Takes all batches of both loaders, turn by turn. Each dataset counts on a quarter of 64 descriptors. */
static void run(vxf_io io, int descriptors) {
    vxf_loader *loaders[DATASETS];
    int number, step, most = 0;
    allow(64);
    for (number = 0; number < DATASETS; number++) loaders[number] = loader_of(io);
    allow(descriptors);
    for (number = 0; number < DATASETS; number++) OK(vxf_loader_start(loaders[number], (uint64_t)number));
    for (step = 0; step < SUBJECTS * EDGE; step++) {
        for (number = 0; number < DATASETS; number++) {
            vxf_batch *batch = NULL;
            vxf_tensor view;
            vxf_sample sample;
            const int16_t *voxels;
            int k;
            view.struct_size = sizeof view;
            OK(vxf_loader_next(loaders[number], -1, &batch));
            OK(vxf_batch_samples(batch, &sample, 1));
            OK(vxf_batch_tensor(batch, "images", &view));
            voxels = view.data;
            for (k = 0; k < EDGE * EDGE; k++) CHECK(voxels[k] == (int16_t)(sample.subject * 16 + (uint64_t)k % 16));
            vxf_batch_release(batch);
        }
        if (descriptors == 64 && step % 100 == 0) {
            int now = open_descriptors();
            most = now > most ? now : most;
        }
    }
    /* Two datasets of a quarter each, their threads, and what the process had before. */
    CHECK(most <= 32 + 12);
    for (number = 0; number < DATASETS; number++) vxf_loader_free(loaders[number]);
}

int main(void) {
    write_files();
    run(VXF_IO_MAP, 64);
    run(VXF_IO_POSITIONAL, 64);
    /* Fewer than they count on, as if the program had opened files of its own since: they let theirs go. */
    run(VXF_IO_MAP, 28);
    run(VXF_IO_POSITIONAL, 28);
    return 0;
}
