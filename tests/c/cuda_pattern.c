/* Every batch is what it must be when its user's stream comes to it, however late that is.
 *
 * Everything that could go wrong is made to: copies are held while users wait, users are held while the memory
 * is wanted again, and the memory that is copied from is wanted before it is read. */
#include "cuda_check.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

/* A user begins before the copies have. */
static void users_wait_for_copies(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    comparison seen[CATEGORIES];
    vxf_loader *loader;
    vxf_batch *batch;
    int category;
    loader = begun_held(sampler, &options);
    batch = next_batch(loader);
    OK(vxf_batch_wait(batch, stream));
    for (category = 0; category < CATEGORIES; category++)
        compare_on(context, stream, batch, all, 0, category, &seen[category]);
    CHECK(standin_settle());
    standin_let(UPLOADS, STANDIN_ALL);
    standin_finish(context, stream);
    for (category = 0; category < CATEGORIES; category++) CHECK(is_right(&seen[category]));
    vxf_batch_release(batch);
    vxf_loader_free(loader);
}

/* A batch is released before its user has begun, and its memory is wanted for another. */
static void copies_wait_for_users(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_loader *loader = begun(sampler, &options);
    vxf_batch *first = next_batch(loader), *second, *third;
    void *memory = tensor_of(first, 0).data;
    comparison seen[CATEGORIES];
    int category;
    uint64_t gate;
    OK(vxf_batch_wait(first, stream));
    gate = standin_gate(context, stream);
    for (category = 0; category < CATEGORIES; category++)
        compare_on(context, stream, first, all, 0, category, &seen[category]);
    vxf_batch_release(first);
    second = next_batch(loader);
    third = next_batch(loader);
    CHECK(tensor_of(third, 0).data == memory);
    CHECK(standin_settle());
    standin_open(gate);
    standin_finish(context, stream);
    for (category = 0; category < CATEGORIES; category++) CHECK(is_right(&seen[category]));
    vxf_batch_release(second);
    vxf_batch_release(third);
    vxf_loader_free(loader);
}

/* A batch is filled in the memory of one whose copies have not begun. */
static void fillers_wait_for_copies(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    uint64_t before;
    comparison seen[2][CATEGORIES];
    vxf_loader *loader = NULL;
    int number, category;
    OK(vxf_loader_new(sampler, &options, &loader));
    before = standin_calls(UPLOADS, 0);
    standin_hold(UPLOADS);
    OK(vxf_loader_start(loader, 0));
    for (number = 0; number < 2; number++) {
        vxf_batch *batch = next_batch(loader);
        OK(vxf_batch_wait(batch, stream));
        for (category = 0; category < CATEGORIES; category++)
            compare_on(context, stream, batch, all, number, category, &seen[number][category]);
        vxf_batch_release(batch);
    }
    CHECK(standin_await_calls_or_blocked(UPLOADS, before + 3 * CATEGORIES));
    standin_let(UPLOADS, STANDIN_ALL);
    standin_finish(context, stream);
    for (number = 0; number < 2; number++)
        for (category = 0; category < CATEGORIES; category++) CHECK(is_right(&seen[number][category]));
    vxf_loader_free(loader);
}

/* Epoch after epoch, each batch used on two of three streams that are late by one batch. */
static void a_long_run(void) {
    enum { EPOCHS = 20, LATE = 2, MOST = EPOCHS * BATCHES };
    static comparison seen[MOST][2];
    static uint64_t gates[MOST][2];
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    CUstream streams[3];
    vxf_loader *loader;
    int number, k;
    for (k = 0; k < 3; k++) streams[k] = standin_stream(context, k == 2 ? 0 : CU_STREAM_NON_BLOCKING);
    options.endless = 1;
    options.prefetch = 3;
    loader = begun(sampler, &options);
    for (number = 0; number < MOST; number++) {
        vxf_batch *batch = next_batch(loader);
        CUstream one = streams[number % 3], other = streams[(number + 1) % 3];
        OK(vxf_batch_wait(batch, one));
        OK(vxf_batch_wait(batch, other));
        gates[number][0] = standin_gate(context, one);
        gates[number][1] = standin_gate(context, other);
        compare_on(context, one, batch, all, number % BATCHES, 0, &seen[number][0]);
        compare_on(context, other, batch, all, number % BATCHES, 1, &seen[number][1]);
        vxf_batch_release(batch);
        for (k = 0; k < 2 && number >= LATE; k++) standin_open(gates[number - LATE][k]);
    }
    for (number = MOST - LATE; number < MOST; number++)
        for (k = 0; k < 2; k++) standin_open(gates[number][k]);
    for (k = 0; k < 3; k++) standin_finish(context, streams[k]);
    for (number = 0; number < MOST; number++) CHECK(is_right(&seen[number][0]) && is_right(&seen[number][1]));
    vxf_loader_free(loader);
}

int main(int count, char **arguments) {
    vxf_transform *transform = NULL;
    if (count > 1 && strcmp(arguments[1], "cast") == 0) {
        used_transform = transform = steps_for_a_device();
        used_cast = VXF_CAST_DEVICE;
    }
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, used_transform);
    users_wait_for_copies();
    copies_wait_for_users();
    fillers_wait_for_copies();
    a_long_run();
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    vxf_transform_free(transform);
    return 0;
}
