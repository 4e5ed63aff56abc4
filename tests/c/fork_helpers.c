/* An assembler whose threads are the parent's adds and gives as before in a child of a fork, and can be freed there. */
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { EDGE = 64, CHANNELS = 16, EACH = EDGE * EDGE * EDGE };

static float prediction[CHANNELS * EACH / 2], volume[CHANNELS * EACH];

/* Adds the prediction for half of the volume; enough for all threads. */
static void add(vxf_assembler *assembler, const vxf_batch *batch) {
    const int64_t shape[5] = {4, CHANNELS, EDGE / 2, EDGE / 2, EDGE / 2};
    const vxf_tensor tensor = host_tensor(VXF_DTYPE_F32, prediction, 5, shape);
    OK(vxf_assembler_add(assembler, batch, &tensor));
}

static void take(vxf_assembler *assembler) {
    const int64_t shape[4] = {CHANNELS, EDGE, EDGE, EDGE};
    vxf_tensor tensor = host_tensor(VXF_DTYPE_F32, volume, 4, shape);
    uint64_t subject = 99;
    int k;
    OK(vxf_assembler_next_complete(assembler, &subject));
    OK(vxf_assembler_take(assembler, subject, VXF_COMPLETENESS_COMPLETE, &tensor));
    for (k = 0; k < CHANNELS * EACH; k++) {
        const int channel = k / EACH, z = k / (EDGE * EDGE) % EDGE, y = k / EDGE % EDGE, x = k % EDGE, half = EDGE / 2;
        const int row = z / half * 4 + y / half * 2 + x / half;
        const int inside = ((z % half) * half + y % half) * half + x % half;
        CHECK(volume[k] == prediction[((row % 4) * CHANNELS + channel) * half * half * half + inside]);
    }
}

int main(void) {
    static int16_t image[EACH];
    const int64_t shape[3] = {EDGE, EDGE, EDGE};
    const vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, image, 3, shape);
    vxf_dataset *dataset = NULL;
    vxf_sampler *sampler;
    uint64_t subject = 0;
    int round, k;
    OK(vxf_dataset_new(NULL, &dataset));
    OK(vxf_dataset_add_subject(dataset, "s", &subject));
    OK(vxf_dataset_add_tensor(dataset, subject, "images", "T1", &tensor, NULL));
    sampler = grid_sampler(dataset, EDGE / 2, VXF_BORDER_SHIFT);
    for (k = 0; k < CHANNELS * EACH / 2; k++) prediction[k] = (float)(k % 100003);
    for (round = 0; round < 5; round++) {
        vxf_loader *loader = small_loader(sampler, 4, 1);
        vxf_assembler_options options;
        vxf_assembler *assembler = NULL;
        vxf_batch *first = NULL, *second = NULL;
        int result = 0;
        pid_t child;
        OK(vxf_assembler_options_init(&options, sizeof options));
        options.blend = VXF_BLEND_MEAN;
        options.threads = 3;
        OK(vxf_assembler_new(loader, &options, &assembler));
        OK(vxf_loader_start(loader, 0));
        OK(vxf_loader_next(loader, -1, &first));
        OK(vxf_loader_next(loader, -1, &second));
        add(assembler, first);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            add(assembler, second);
            take(assembler);
            vxf_assembler_free(assembler);
            exit(0);
        }
        add(assembler, second);
        take(assembler);
        CHECK(waitpid(child, &result, 0) == child);
        CHECK(WIFEXITED(result) && WEXITSTATUS(result) == 0);
        vxf_assembler_free(assembler);
        vxf_batch_release(first);
        vxf_batch_release(second);
        vxf_loader_free(loader);
    }
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
