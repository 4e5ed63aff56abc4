/* Handles freed in every order and on any thread; batches outlive all. */
#include <pthread.h>

#include "check.h"

enum { KINDS = 6 };

static const char *const CATEGORIES[] = {"images", "labels", NULL};

struct all {
    vxf_dataset *dataset;
    vxf_sampler *sampler;
    vxf_transform *transform;
    vxf_loader *loader;
    vxf_batch *batch;
    vxf_assembler *assembler;
};

static struct all make(void) {
    struct all all;
    vxf_loader_options options;
    all.dataset = small_dataset(2);
    all.sampler = grid_sampler(all.dataset, 4, VXF_BORDER_SHIFT);
    OK(vxf_transform_parse("[{\"name\": \"cast\", \"category\": \"images\", \"dtype\": \"f32\"},"
                           " {\"name\": \"zscore\", \"category\": \"images\", \"statistics\": \"subject\","
                           " \"voxels\": \"all\"}]",
                           &all.transform));
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = 3;
    options.threads = 2;
    options.transform = all.transform;
    OK(vxf_loader_new(all.sampler, &options, &all.loader));
    OK(vxf_assembler_new(all.loader, NULL, &all.assembler));
    OK(vxf_loader_start(all.loader, 0));
    OK(vxf_loader_next(all.loader, -1, &all.batch));
    return all;
}

/* What must still work with whatever of it is left. */
static void use(const struct all *all, uint64_t hash) {
    uint64_t value;
    if (all->dataset) OK(vxf_dataset_len(all->dataset, &value));
    if (all->sampler) OK(vxf_sampler_len(all->sampler, &value));
    if (all->loader) {
        vxf_batch *next = NULL;
        OK(vxf_loader_next(all->loader, -1, &next));
        vxf_batch_release(next);
        OK(vxf_loader_start(all->loader, 0));
    }
    if (all->batch) CHECK(hash_batch(0, all->batch, CATEGORIES) == hash);
    if (all->assembler && all->batch) {
        vxf_tensor tensor;
        vxf_status status;
        tensor.struct_size = sizeof tensor;
        OK(vxf_batch_tensor(all->batch, "labels", &tensor));
        status = vxf_assembler_add(all->assembler, all->batch, &tensor);
        CHECK(status == VXF_STATUS_OK || status == VXF_STATUS_ERR_STATE);
    }
}

static void free_one(struct all *all, int kind) {
    switch (kind) {
    case 0: vxf_dataset_free(all->dataset), all->dataset = NULL; break;
    case 1: vxf_sampler_free(all->sampler), all->sampler = NULL; break;
    case 2: vxf_transform_free(all->transform), all->transform = NULL; break;
    case 3: vxf_loader_free(all->loader), all->loader = NULL; break;
    case 4: vxf_batch_release(all->batch), all->batch = NULL; break;
    default: vxf_assembler_free(all->assembler), all->assembler = NULL;
    }
}

static void every_order(int *order, int fixed) {
    int k;
    if (fixed == KINDS) {
        struct all all = make();
        uint64_t hash = hash_batch(0, all.batch, CATEGORIES);
        for (k = 0; k < KINDS; k++) {
            free_one(&all, order[k]);
            use(&all, hash);
        }
        return;
    }
    for (k = fixed; k < KINDS; k++) {
        int other = order[fixed];
        order[fixed] = order[k];
        order[k] = other;
        every_order(order, fixed + 1);
        order[k] = order[fixed];
        order[fixed] = other;
    }
}

static pthread_key_t key;

static void release_late(void *batch) { vxf_batch_release(batch); }

/* The batch is released by a destructor, when this thread's own data in the library is gone already. */
static void *end_with_a_batch(void *batch) {
    uint64_t value;
    vxf_batch *mine = NULL;
    CHECK_STATUS(vxf_batch_len(NULL, &value), VXF_STATUS_ERR_HANDLE);
    OK(vxf_batch_retain(batch, &mine));
    CHECK(pthread_setspecific(key, mine) == 0);
    return NULL;
}

int main(void) {
    int order[KINDS] = {0, 1, 2, 3, 4, 5}, k;
    struct all all;
    pthread_t thread;
    uint64_t hash;
    every_order(order, 0);

    for (k = 0; k < 1000; k++) {
        all = make();
        if (k % 3 == 0) OK(vxf_loader_cancel(all.loader));
        free_one(&all, 3);
        hash = hash_batch(0, all.batch, CATEGORIES);
        CHECK(hash != 0);
        for (order[0] = 0; order[0] < KINDS; order[0]++)
            if (order[0] != 3) free_one(&all, order[0]);
    }

    all = make();
    CHECK(pthread_key_create(&key, release_late) == 0);
    for (k = 0; k < 20; k++) {
        CHECK(pthread_create(&thread, NULL, end_with_a_batch, all.batch) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    for (k = 0; k < KINDS; k++) free_one(&all, k);
    return 0;
}
