/* Whoever wants a batch waits for what the GPU makes of it too, however late that is, or is told that it failed. */
#include "cuda_check.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

/* All of an epoch, and how many bytes it took to send it; the same voxels in every case. */
static uint64_t an_epoch(vxf_cast cast, uint64_t launches) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 2);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    uint64_t before = standin_runs("cuLaunchKernel");
    comparison seen[CATEGORIES];
    vxf_loader_stats stats;
    vxf_loader *loader;
    int number, category;
    options.cast = cast;
    loader = begun(sampler, &options);
    for (number = 0; number < BATCHES; number++) {
        vxf_batch *batch = next_batch(loader);
        CHECK(tensor_of(batch, 0).dtype == VXF_DTYPE_F32 && tensor_of(batch, 1).dtype == VXF_DTYPE_I64);
        OK(vxf_batch_wait(batch, stream));
        for (category = 0; category < CATEGORIES; category++)
            compare_on(context, stream, batch, all, number, category, &seen[category]);
        vxf_batch_release(batch);
        standin_finish(context, stream);
        for (category = 0; category < CATEGORIES; category++) CHECK(is_right(&seen[category]));
    }
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    CHECK(stats.uploads == BATCHES);
    CHECK(standin_runs("cuLaunchKernel") == before + launches);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    return stats.upload_bytes;
}

/* A user waits for the conversion too, not only for the copy. */
static void users_wait_for_conversions(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    comparison seen[2];
    uint64_t copies = standin_runs(UPLOADS);
    vxf_loader *loader;
    vxf_batch *first, *second;
    standin_hold("cuLaunchKernel");
    loader = begun(sampler, &options);
    first = next_batch(loader);
    second = next_batch(loader);
    OK(vxf_batch_wait(first, stream));
    compare_on(context, stream, first, all, 0, 0, &seen[0]);
    OK(vxf_batch_wait(second, stream));
    compare_on(context, stream, second, all, 1, 0, &seen[1]);
    CHECK(standin_await_runs(UPLOADS, copies + 2 * CATEGORIES));
    CHECK(standin_settle() && !seen[0].ran);
    CHECK_STATUS(vxf_batch_query(first), VXF_STATUS_NOT_READY);
    standin_let("cuLaunchKernel", CATEGORIES);
    CHECK(standin_settle() && is_right(&seen[0]) && !seen[1].ran);
    CHECK_STATUS(vxf_batch_query(second), VXF_STATUS_NOT_READY);
    standin_let("cuLaunchKernel", STANDIN_ALL);
    standin_finish(context, stream);
    CHECK(is_right(&seen[1]));
    vxf_batch_release(first);
    vxf_batch_release(second);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

/* Conversions are few and short: they do not queue behind the kernels of who waits for them. */
static void conversions_come_first(void) {
    standin_entry entry;
    uint64_t number, urgent = 0;
    for (number = 0; standin_log(number, &entry); number++)
        if (!strcmp(entry.function, "cuStreamCreateWithPriority")) urgent += entry.bytes == (uint64_t)-5;
    CHECK(urgent == 2 && standin_calls("cuStreamCreateWithPriority", 0) == 2);
}

/* A conversion that has not begun when its batch is given back still reads what was copied for it, and ends
 * before the next batch is in its place. */
static void late_conversions(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    static comparison seen[BATCHES];
    vxf_loader *loader;
    int number;
    standin_hold("cuLaunchKernel");
    loader = begun(sampler, &options);
    for (number = 0; number < 2; number++) vxf_batch_release(next_batch(loader));
    for (number = 2; number < BATCHES; number++) {
        vxf_batch *batch = next_batch(loader);
        CHECK(standin_settle());
        standin_let("cuLaunchKernel", CATEGORIES);
        OK(vxf_batch_wait(batch, stream));
        compare_on(context, stream, batch, all, number, 0, &seen[number]);
        vxf_batch_release(batch);
    }
    standin_let("cuLaunchKernel", STANDIN_ALL);
    standin_finish(context, stream);
    for (number = 2; number < BATCHES; number++) CHECK(is_right(&seen[number]));
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

/* A kernel that cannot be begun costs its own batch, one that goes wrong the context. */
static void failures(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, 1);
    vxf_loader *loader = NULL;
    vxf_batch *batch = NULL;
    vxf_status status = VXF_STATUS_OK;
    OK(vxf_loader_new(sampler, &options, &loader));
    standin_fail("cuLaunchKernel", 0, CUDA_ERROR_INVALID_VALUE);
    OK(vxf_loader_start(loader, 0));
    REFUSED(vxf_loader_next(loader, 60000000000, &batch), VXF_STATUS_ERR_DEVICE, "cuLaunchKernel");
    standin_fail("cuLaunchKernel", 0, CUDA_SUCCESS);
    OK(vxf_loader_start(loader, 0));
    vxf_batch_release(next_batch(loader));
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    CHECK(standin_await_nothing_held());
    OK(vxf_loader_new(sampler, &options, &loader));
    standin_run_fail("cuLaunchKernel", 1, CUDA_ERROR_LAUNCH_FAILED);
    OK(vxf_loader_start(loader, 0));
    batch = NULL;
    while (status == VXF_STATUS_OK) {
        vxf_batch_release(batch);
        batch = NULL;
        status = vxf_loader_next(loader, 60000000000, &batch);
        if (status == VXF_STATUS_OK) status = vxf_batch_wait(batch, (vxf_stream)-1);
    }
    REFUSED(status, VXF_STATUS_ERR_DEVICE, "lost");
    vxf_batch_release(batch);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
}

int main(void) {
    vxf_transform *transform = steps_for_a_device();
    uint64_t as_stored, as_given;
    used_transform = transform;
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, used_transform);
    as_given = BATCHES * (all->len[0] + all->len[1]);
    as_stored = BATCHES * (all->len[0] / 2 + all->len[1] / 8);
    CHECK(an_epoch(VXF_CAST_HOST, 0) == as_given);
    CHECK(an_epoch(VXF_CAST_DEVICE, BATCHES * CATEGORIES) == as_stored);
    CHECK(an_epoch(VXF_CAST_AUTO, BATCHES * CATEGORIES) == as_stored);
    conversions_come_first();
    users_wait_for_conversions();
    late_conversions();
    no_violations();
    failures();
    free_truth(all);
    vxf_sampler_free(sampler);
    vxf_transform_free(transform);
    return 0;
}
