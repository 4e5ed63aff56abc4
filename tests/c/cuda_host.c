/* Batches in pinned memory, which users copy from on their own streams, and the user's own pool of it. */
#include <pthread.h>

#include "cuda_check.h"

static CUcontext context;
static vxf_sampler *sampler;
static truth *all;

/* A user's copy is late; the memory that it reads must not be filled again before. */
static void fillers_wait_for_users(void) {
    vxf_loader_options options = loader_options(VXF_DEVICE_CUDA_HOST, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    uint64_t waits = standin_calls("Synchronize", standin_thread()), bytes = all->len[0];
    vxf_loader_stats stats;
    vxf_loader *loader;
    vxf_batch *first, *second;
    vxf_tensor tensor;
    CUdeviceptr memory;
    DRIVER(cuCtxPushCurrent_v2(context));
    DRIVER(cuMemAlloc_v2(&memory, bytes));
    loader = begun_held(sampler, &options);
    first = next_batch(loader);
    tensor = tensor_of(first, 0);
    CHECK(tensor.device == VXF_DEVICE_CUDA_HOST);
    CHECK(memcmp(tensor.data, all->bytes[0][0], bytes) == 0);
    OK(vxf_batch_wait(first, stream));
    OK(vxf_batch_query(first));
    DRIVER(cuMemcpyHtoDAsync_v2(memory, tensor.data, bytes, stream));
    OK(vxf_batch_record_stream(first, stream));
    vxf_batch_release(first);
    second = next_batch(loader);
    CHECK(memcmp(tensor_of(second, 0).data, all->bytes[1][0], bytes) == 0);
    CHECK(standin_await_blocked("cuEventSynchronize"));
    standin_let(UPLOADS, STANDIN_ALL);
    standin_finish(context, stream);
    CHECK(memcmp((void *)memory, all->bytes[0][0], bytes) == 0);
    vxf_batch_release(second);
    second = next_batch(loader);
    CHECK(memcmp(tensor_of(second, 0).data, all->bytes[2][0], bytes) == 0);
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    CHECK(stats.event_waits >= 1 && stats.uploads == 0 && stats.device_bytes == 0 && stats.pinned_bytes > 0);
    CHECK(stats.pinned_bytes == stats.slot_bytes);
    vxf_batch_release(second);
    CHECK(standin_calls("Synchronize", standin_thread()) == waits);
    vxf_loader_free(loader);
    DRIVER(cuMemFree_v2(memory));
    DRIVER(cuCtxPopCurrent_v2(NULL));
}

static struct {
    pthread_mutex_t lock;
    int given, taken, refuse_after;
    uint64_t bytes;
} pool = {PTHREAD_MUTEX_INITIALIZER, 0, 0, 1 << 30, 0};

static void *give(uint64_t bytes, void *user_data) {
    void *memory = NULL;
    CHECK(user_data == &pool);
    pthread_mutex_lock(&pool.lock);
    if (pool.given < pool.refuse_after && posix_memalign(&memory, 64, bytes) == 0) {
        pool.given++;
        pool.bytes += bytes;
        DRIVER(cuCtxPushCurrent_v2(context));
        DRIVER(cuMemHostRegister_v2(memory, bytes, CU_MEMHOSTALLOC_PORTABLE));
        DRIVER(cuCtxPopCurrent_v2(NULL));
    }
    pthread_mutex_unlock(&pool.lock);
    return memory;
}

static void take(void *memory, uint64_t bytes, void *user_data) {
    CHECK(user_data == &pool);
    pthread_mutex_lock(&pool.lock);
    pool.taken++;
    pool.bytes -= bytes;
    DRIVER(cuCtxPushCurrent_v2(context));
    DRIVER(cuMemHostUnregister(memory));
    DRIVER(cuCtxPopCurrent_v2(NULL));
    free(memory);
    pthread_mutex_unlock(&pool.lock);
}

/* All pinned memory comes from the user's pool, all of it comes back, and a pool that is empty is an error. */
static void the_users_own_pool(vxf_device device) {
    vxf_loader_options options = loader_options(device, 0, 1);
    CUstream stream = standin_stream(context, CU_STREAM_NON_BLOCKING);
    uint64_t calls = standin_calls("cuMemHostAlloc", 0);
    vxf_pinned_allocator own;
    vxf_loader *loader = NULL;
    int number, slots;
    own.allocate = give, own.release = take, own.user_data = &pool;
    options.pinned = &own;
    pool.given = pool.taken = 0;
    loader = begun(sampler, &options);
    memset(&own, 0, sizeof own);
    slots = pool.given;
    CHECK(slots >= 2 * CATEGORIES && pool.taken == 0);
    for (number = 0; number < BATCHES; number++) {
        vxf_batch *batch = next_batch(loader);
        comparison seen;
        OK(vxf_batch_wait(batch, stream));
        compare_on(context, stream, batch, all, number, 0, &seen);
        standin_finish(context, stream);
        CHECK(is_right(&seen));
        vxf_batch_release(batch);
    }
    CHECK(pool.given == slots);
    OK(vxf_loader_close(loader, -1));
    vxf_loader_free(loader);
    CHECK(pool.taken == slots && pool.bytes == 0);
    CHECK(standin_calls("cuMemHostAlloc", 0) == calls);
    own.allocate = give, own.release = take, own.user_data = &pool;
    for (pool.refuse_after = 0; pool.refuse_after < slots; pool.refuse_after++) {
        pool.given = pool.taken = 0;
        loader = NULL;
        CHECK_STATUS(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_MEMORY);
        CHECK(loader == NULL && pool.taken == pool.given && pool.bytes == 0);
    }
    pool.refuse_after = 1 << 30;
    own.release = NULL;
    REFUSED(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_ARGUMENT, "release");
}

int main(void) {
    context = context_of(0);
    sampler = patches();
    all = truth_of(sampler, NULL);
    fillers_wait_for_users();
    the_users_own_pool(VXF_DEVICE_CUDA_HOST);
    the_users_own_pool(VXF_DEVICE_CUDA);
    CHECK(standin_unpopped(standin_thread()) == 0);
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
