/* One loader, several threads: cancel, close, a slow consumer, and next from all sides at once. */
#include <pthread.h>

#include "check.h"

enum { CALLERS = 6, MOST = 4096, FOR_EVER = -1 };

static vxf_loader *loader;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char seen[MOST];
static int ends, cancels, errors;

/* Takes batches until there are no more, noting each sample. */
static void *take_all(void *unused) {
    (void)unused;
    for (;;) {
        vxf_batch *batch = NULL;
        vxf_sample samples[64];
        uint64_t len = 0, k;
        vxf_status status = vxf_loader_next(loader, FOR_EVER, &batch);
        CHECK((batch != NULL) == (status == VXF_STATUS_OK));
        pthread_mutex_lock(&lock);
        if (status == VXF_STATUS_END) ends++;
        if (status == VXF_STATUS_CANCELLED) cancels++;
        if (status < 0) errors++;
        if (status == VXF_STATUS_OK) {
            OK(vxf_batch_len(batch, &len));
            OK(vxf_batch_samples(batch, samples, 64));
            for (k = 0; k < len; k++) {
                CHECK(samples[k].position < MOST);
                CHECK(!seen[samples[k].position]++);
            }
        }
        pthread_mutex_unlock(&lock);
        vxf_batch_release(batch);
        if (status != VXF_STATUS_OK && status != VXF_STATUS_ERR_RANGE) return NULL;
    }
}

static void run_callers(pthread_t *threads) {
    int k;
    memset(seen, 0, sizeof seen);
    ends = cancels = errors = 0;
    for (k = 0; k < CALLERS; k++) CHECK(pthread_create(&threads[k], NULL, take_all, NULL) == 0);
}

static void join_callers(pthread_t *threads) {
    int k;
    for (k = 0; k < CALLERS; k++) CHECK(pthread_join(threads[k], NULL) == 0);
}

/* Each sample comes exactly once, and every thread hears of the end. */
static void shared_by_threads(const vxf_sampler *sampler) {
    pthread_t threads[CALLERS];
    uint64_t len, k, epoch;
    loader = small_loader(sampler, 2, 3);
    OK(vxf_sampler_len(sampler, &len));
    CHECK(len < MOST);
    for (epoch = 0; epoch < 30; epoch++) {
        OK(vxf_loader_start(loader, epoch));
        run_callers(threads);
        join_callers(threads);
        CHECK(ends == CALLERS);
        for (k = 0; k < len; k++) CHECK(seen[k] == 1);
    }
    vxf_loader_free(loader);
}

/* A batch that fails and ends the epoch wakes all who wait for another. */
static void stopped_by_an_error(const vxf_sampler *sampler) {
    pthread_t threads[CALLERS];
    vxf_loader_options options;
    vxf_category category;
    int k;
    memset(&category, 0, sizeof category);
    category.name = "images";
    category.dtype = VXF_DTYPE_U8;
    OK(vxf_loader_options_init(&options, sizeof options));
    options.batch_size = 2;
    options.threads = 1;
    options.on_error = VXF_ON_ERROR_STOP;
    options.categories = &category;
    options.category_count = 1;
    OK(vxf_loader_new(sampler, &options, &loader));
    for (k = 0; k < 300; k++) {
        OK(vxf_loader_start(loader, 0));
        run_callers(threads);
        join_callers(threads);
        CHECK(ends == CALLERS && errors == 1);
    }
    vxf_loader_free(loader);
}

/* All batches are held, so the others can only be woken by the cancel. */
static void cancelled_while_waiting(const vxf_sampler *sampler) {
    pthread_t threads[CALLERS];
    vxf_batch *held[3] = {NULL, NULL, NULL}, *none = NULL;
    int k, round;
    loader = small_loader(sampler, 1, 2);
    for (round = 0; round < 50; round++) {
        OK(vxf_loader_start(loader, 0));
        for (k = 0; k < 3; k++) OK(vxf_loader_next(loader, FOR_EVER, &held[k]));
        CHECK_STATUS(vxf_loader_next(loader, 0, &none), VXF_STATUS_TIMEOUT);
        CHECK_STATUS(vxf_loader_next(loader, 1000, &none), VXF_STATUS_TIMEOUT);
        run_callers(threads);
        OK(vxf_loader_cancel(loader));
        join_callers(threads);
        CHECK(cancels == CALLERS);
        CHECK_STATUS(vxf_loader_next(loader, FOR_EVER, &none), VXF_STATUS_CANCELLED);
        for (k = 0; k < 3; k++) vxf_batch_release(held[k]);
    }
    CHECK(none == NULL);
    vxf_loader_free(loader);
}

/* Close while threads read and callers wait; twice; batches stay; nothing begins again. */
static void closed_while_reading(const vxf_sampler *sampler) {
    static const char *const categories[] = {"images", "labels", NULL};
    pthread_t threads[CALLERS];
    int round;
    for (round = 0; round < 100; round++) {
        vxf_batch *held = NULL, *none = NULL;
        uint64_t hash;
        loader = small_loader(sampler, 2, 4);
        OK(vxf_loader_start(loader, 0));
        OK(vxf_loader_next(loader, FOR_EVER, &held));
        hash = hash_batch(0, held, categories);
        run_callers(threads);
        OK(vxf_loader_close(loader, round % 2 ? FOR_EVER : INT64_MAX));
        join_callers(threads);
        OK(vxf_loader_close(loader, 0));
        CHECK_STATUS(vxf_loader_next(loader, FOR_EVER, &none), VXF_STATUS_ERR_STATE);
        CHECK_STATUS(vxf_loader_start(loader, 1), VXF_STATUS_ERR_STATE);
        OK(vxf_loader_cancel(loader));
        CHECK(hash_batch(0, held, categories) == hash);
        vxf_loader_free(loader);
        CHECK(hash_batch(0, held, categories) == hash);
        vxf_batch_release(held);
    }
}

/* Start and cancel again and again while rows are being filled; the next epoch is whole. */
static void restarted_while_filling(const vxf_sampler *sampler) {
    uint64_t round, len, count;
    loader = small_loader(sampler, 2, 4);
    OK(vxf_loader_len(loader, &len));
    for (round = 0; round < 300; round++) {
        vxf_batch *batch = NULL;
        vxf_status status = VXF_STATUS_OK;
        OK(vxf_loader_start(loader, round));
        if (round % 3 == 0) OK(vxf_loader_cancel(loader));
        OK(vxf_loader_start(loader, UINT64_MAX - round));
        for (count = 0; status == VXF_STATUS_OK; count++) {
            vxf_sample samples[2];
            status = vxf_loader_next(loader, INT64_MAX, &batch);
            if (status != VXF_STATUS_OK) break;
            OK(vxf_batch_samples(batch, samples, 2));
            CHECK(samples[0].epoch == UINT64_MAX - round && samples[0].position == count * 2);
            vxf_batch_release(batch);
            if (round % 5 && count == round % len) break;
        }
        if (round % 5 == 0) CHECK(status == VXF_STATUS_END && count == len);
    }
    vxf_loader_free(loader);
}

/* Endless, with one sample; the epoch's number goes round at its end. */
static void endless(void) {
    vxf_dataset *dataset = small_dataset(1);
    vxf_loader_options options;
    vxf_sampler *sampler = NULL;
    vxf_batch *batch = NULL;
    vxf_sample sample;
    uint64_t k;
    OK(vxf_sampler_new(dataset, NULL, &sampler));
    OK(vxf_loader_options_init(&options, sizeof options));
    options.endless = 1;
    options.order = VXF_ORDER_SHUFFLED;
    options.threads = 4;
    OK(vxf_loader_new(sampler, &options, &loader));
    OK(vxf_loader_start(loader, UINT64_MAX - 1));
    for (k = 0; k < 200; k++) {
        OK(vxf_loader_next(loader, FOR_EVER, &batch));
        OK(vxf_batch_samples(batch, &sample, 1));
        CHECK(sample.epoch == UINT64_MAX - 1 + k);
        vxf_batch_release(batch);
    }
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
}

/* A consumer that is slower than the threads: they wait, and memory stays what it was. */
static void slow_consumer(const vxf_sampler *sampler) {
    vxf_loader_stats before, after;
    vxf_batch *batch = NULL;
    volatile uint64_t work;
    before.struct_size = after.struct_size = sizeof before;
    loader = small_loader(sampler, 1, 4);
    OK(vxf_loader_get_stats(loader, &before));
    CHECK(before.slots == 3 && before.threads == 4 && before.slot_bytes > 0);
    OK(vxf_loader_start(loader, 0));
    while (vxf_loader_next(loader, FOR_EVER, &batch) == VXF_STATUS_OK) {
        for (work = 0; work < 2000000; work++) {
        }
        OK(vxf_loader_get_stats(loader, &after));
        CHECK(after.held == 1 && after.slots == 3 && after.slot_bytes == before.slot_bytes);
        vxf_batch_release(batch);
    }
    OK(vxf_loader_get_stats(loader, &after));
    CHECK(after.held == 0 && after.errors == 0 && after.batches == after.samples);
    vxf_loader_free(loader);
}

int main(void) {
    vxf_dataset *dataset = small_dataset(3);
    vxf_sampler *sampler = grid_sampler(dataset, 3, VXF_BORDER_SHIFT);
    shared_by_threads(sampler);
    stopped_by_an_error(sampler);
    cancelled_while_waiting(sampler);
    closed_while_reading(sampler);
    restarted_while_filling(sampler);
    slow_consumer(sampler);
    endless();
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return 0;
}
