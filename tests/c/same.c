/* The same bytes for any number of threads, and after a restore at every place into any other loader. */
#include "check.h"

static const char *const CATEGORIES[] = {"images", "labels", NULL};

enum { MOST = 512 };

/* The hash of every single sample's voxels of an epoch, from some place on, in the order of their coming. */
struct rows {
    uint64_t count;
    uint64_t hash[MOST];
};

struct run {
    const vxf_sampler *sampler;
    vxf_last_batch last_batch;
    vxf_order order;
    vxf_ragged ragged;
};

static vxf_loader *make(const struct run *run, uint32_t batch_size, uint32_t threads) {
    vxf_loader_options options;
    vxf_loader *loader = NULL;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = batch_size;
    options.threads = threads;
    options.prefetch = threads;
    options.order = run->order;
    options.last_batch = run->last_batch;
    options.ragged = run->ragged;
    options.seed = 7;
    OK(vxf_loader_new(run->sampler, &options, &loader));
    return loader;
}

static void add_rows(struct rows *rows, const vxf_batch *batch) {
    vxf_sample samples[64];
    uint64_t len, row;
    OK(vxf_batch_len(batch, &len));
    OK(vxf_batch_samples(batch, samples, 64));
    for (row = 0; row < len; row++) {
        uint64_t hash = fnv(0xCBF29CE484222325u, &samples[row], sizeof samples[row]);
        const char *const *category;
        for (category = CATEGORIES; *category; category++) {
            vxf_tensor tensor;
            uint64_t bytes;
            tensor.struct_size = sizeof tensor;
            OK(vxf_batch_tensor(batch, *category, &tensor));
            bytes = tensor_bytes(&tensor) / len;
            hash = fnv(hash, (const char *)tensor.data + row * bytes, bytes);
        }
        CHECK(rows->count < MOST);
        rows->hash[rows->count++] = hash;
    }
}

static void rest(vxf_loader *loader, struct rows *rows) {
    vxf_batch *batch = NULL;
    vxf_status status;
    while ((status = vxf_loader_next(loader, -1, &batch)) == VXF_STATUS_OK) {
        add_rows(rows, batch);
        vxf_batch_release(batch);
    }
    CHECK(status == VXF_STATUS_END);
}

static void compare(const struct rows *all, const struct rows *some, uint64_t from) {
    uint64_t k;
    CHECK(some->count + from == all->count);
    for (k = 0; k < some->count; k++) CHECK(some->hash[k] == all->hash[from + k]);
}

static void check(const struct run *run, uint32_t batch_size) {
    static struct rows all, other;
    static const uint32_t threads[] = {1, 2, 8};
    vxf_loader *loader = make(run, batch_size, 1), *resumed;
    uint64_t epoch, place;
    char state[512];
    int k;
    for (epoch = 0; epoch < 2; epoch++) {
        all.count = 0;
        OK(vxf_loader_start(loader, epoch));
        rest(loader, &all);
        for (k = 1; k < 3; k++) {
            resumed = make(run, batch_size, threads[k]);
            other.count = 0;
            OK(vxf_loader_start(resumed, epoch));
            rest(resumed, &other);
            compare(&all, &other, 0);
            vxf_loader_free(resumed);
        }
    }
    vxf_loader_free(loader);
    /* One loader walks sample by sample, the others go on from each of its places. */
    if (run->last_batch != VXF_LAST_BATCH_KEEP) return;
    loader = make(run, 1, 1);
    OK(vxf_loader_start(loader, 1));
    for (place = 0; place <= all.count; place++) {
        size_t size = sizeof state;
        vxf_batch *batch = NULL;
        OK(vxf_loader_save_state(loader, state, &size));
        CHECK(size == strlen(state) + 1);
        resumed = make(run, 1 + (uint32_t)(place % batch_size), threads[place % 3]);
        other.count = 0;
        OK(vxf_loader_load_state(resumed, state));
        rest(resumed, &other);
        compare(&all, &other, place);
        vxf_loader_free(resumed);
        if (place < all.count) {
            OK(vxf_loader_next(loader, -1, &batch));
            vxf_batch_release(batch);
        }
    }
    vxf_loader_free(loader);
}

/* The end of an epoch of full batches is behind that of one with other batches: it is over there too. */
static void ends_meet(const vxf_sampler *sampler) {
    struct run run;
    vxf_loader *padded, *other;
    vxf_batch *batch = NULL;
    char state[512];
    size_t size = sizeof state;
    memset(&run, 0, sizeof run);
    run.sampler = sampler;
    run.last_batch = VXF_LAST_BATCH_PAD;
    padded = make(&run, 50, 1);
    other = make(&run, 1, 1);
    OK(vxf_loader_start(padded, 3));
    while (vxf_loader_next(padded, -1, &batch) == VXF_STATUS_OK) vxf_batch_release(batch);
    OK(vxf_loader_save_state(padded, state, &size));
    OK(vxf_loader_load_state(other, state));
    CHECK_STATUS(vxf_loader_next(other, -1, &batch), VXF_STATUS_END);
    vxf_loader_free(padded);
    vxf_loader_free(other);
}

static void refuses_foreign_states(const vxf_sampler *sampler) {
    struct run run;
    vxf_loader *loader;
    char state[512];
    size_t size = 0, needed, k;
    memset(&run, 0, sizeof run);
    run.sampler = sampler;
    loader = make(&run, 2, 1);
    OK(vxf_loader_save_state(loader, NULL, &size));
    needed = size;
    for (size = 0; size < needed;) {
        size_t room = size;
        memset(state, '#', sizeof state);
        CHECK_STATUS(vxf_loader_save_state(loader, state, &size), VXF_STATUS_ERR_BUFFER);
        CHECK(size == needed && state[0] == '#' && state[room] == '#');
        size = room + 1;
    }
    OK(vxf_loader_save_state(loader, state, &size));
    for (k = 0; k < needed - 1; k++) {
        char cut[512];
        memcpy(cut, state, needed);
        cut[k] = '\0';
        CHECK_STATUS(vxf_loader_load_state(loader, cut), VXF_STATUS_ERR_ARGUMENT);
    }
    run.order = VXF_ORDER_SHUFFLED;
    vxf_loader_free(loader);
    loader = make(&run, 2, 1);
    REFUSED(vxf_loader_load_state(loader, state), VXF_STATUS_ERR_ARGUMENT, "shuffled");
    vxf_loader_free(loader);
}

int main(void) {
    vxf_dataset *dataset = small_dataset(3);
    vxf_sampler_options options;
    vxf_sampler *samplers[6] = {NULL};
    struct run run;
    int k;
    OK(vxf_sampler_new(dataset, NULL, &samplers[0]));
    OK(vxf_sampler_options_init(&options, sizeof options));
    options.kind = VXF_SAMPLER_KIND_SLICES;
    options.axis_count = 2;
    options.axes[0] = 2;
    OK(vxf_sampler_new(dataset, &options, &samplers[1]));
    samplers[2] = grid_sampler(dataset, 4, VXF_BORDER_CLIP);
    samplers[3] = grid_sampler(dataset, 4, VXF_BORDER_PAD);
    samplers[4] = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    OK(vxf_sampler_options_init(&options, sizeof options));
    options.kind = VXF_SAMPLER_KIND_UNIFORM;
    options.patch_shape[0] = 5;
    options.patch_shape[1] = 9;
    options.samples_per_subject = 11;
    OK(vxf_sampler_new(dataset, &options, &samplers[5]));
    for (k = 0; k < 6; k++) {
        memset(&run, 0, sizeof run);
        run.sampler = samplers[k];
        run.ragged = VXF_RAGGED_PAD;
        for (run.order = 0; run.order < 2; run.order++)
            for (run.last_batch = 0; run.last_batch < 3; run.last_batch++) check(&run, 3);
    }
    ends_meet(samplers[2]);
    refuses_foreign_states(samplers[2]);
    for (k = 0; k < 6; k++) vxf_sampler_free(samplers[k]);
    vxf_dataset_free(dataset);
    return 0;
}
