/* A child of a fork is told that the loader is its parent's; the parent does not notice. */
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char *const CATEGORIES[] = {"images", "labels", NULL};

int main(void) {
    vxf_dataset *dataset = small_dataset(2);
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    int round;
    for (round = 0; round < 30; round++) {
        vxf_loader *loader = small_loader(sampler, 2, 3), *idle = small_loader(sampler, 2, 1), *own;
        vxf_batch *batch = NULL, *other = NULL;
        vxf_assembler *assembler = NULL;
        vxf_loader_stats stats;
        uint64_t hash, value, count = 0;
        size_t size = 0;
        int result = 0;
        pid_t child;
        stats.struct_size = sizeof stats;
        OK(vxf_loader_start(loader, 0));
        OK(vxf_loader_next(loader, -1, &batch));
        hash = hash_batch(0, batch, CATEGORIES);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            REFUSED(vxf_loader_next(loader, -1, &other), VXF_STATUS_ERR_FORKED, "fork");
            CHECK_STATUS(vxf_loader_start(loader, 1), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_loader_len(loader, &value), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_loader_cancel(loader), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_loader_close(loader, -1), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_loader_save_state(loader, NULL, &size), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_loader_load_state(loader, "{}"), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_loader_get_stats(loader, &stats), VXF_STATUS_ERR_FORKED);
            CHECK_STATUS(vxf_assembler_new(loader, NULL, &assembler), VXF_STATUS_ERR_FORKED);
            CHECK(other == NULL && assembler == NULL);
            /* What was read before is there, a loader that was not started may be, and another can be made. */
            CHECK(hash_batch(0, batch, CATEGORIES) == hash);
            OK(vxf_loader_start(idle, 0));
            OK(vxf_loader_next(idle, -1, &other));
            CHECK(hash_batch(0, other, CATEGORIES) == hash);
            vxf_batch_release(other);
            own = small_loader(sampler, 2, 2);
            OK(vxf_loader_start(own, 0));
            OK(vxf_loader_next(own, -1, &other));
            CHECK(hash_batch(0, other, CATEGORIES) == hash);
            OK(vxf_batch_retain(batch, &other));
            vxf_batch_release(other);
            vxf_batch_release(batch);
            vxf_loader_free(own);
            vxf_loader_free(idle);
            vxf_loader_free(loader);
            vxf_sampler_free(sampler);
            vxf_dataset_free(dataset);
            exit(0);
        }
        CHECK(waitpid(child, &result, 0) == child);
        CHECK(WIFEXITED(result) && WEXITSTATUS(result) == 0);
        vxf_batch_release(batch);
        while (vxf_loader_next(loader, -1, &batch) == VXF_STATUS_OK) {
            count++;
            vxf_batch_release(batch);
        }
        OK(vxf_loader_len(loader, &value));
        CHECK(count + 1 == value);
        vxf_loader_free(idle);
        vxf_loader_free(loader);
    }
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
