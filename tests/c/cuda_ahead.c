/* A batch that is sealed is sent at once, even where every thread that fills waits for the GPU. */
#include "cuda_check.h"

enum { AHEAD = 4 };

int main(void) {
    CUcontext context = context_of(0);
    CUstream slow = standin_stream(context, CU_STREAM_NON_BLOCKING);
    vxf_sampler *sampler = patches();
    truth *all = truth_of(sampler, NULL);
    uint32_t threads;
    for (threads = 1; threads <= 2; threads++) {
        vxf_loader_options options = loader_options(VXF_DEVICE_CUDA, 0, threads);
        vxf_loader *loader = begun(sampler, &options);
        uint64_t gate = standin_gate(context, slow);
        comparison seen[AHEAD];
        long here = standin_thread();
        uint64_t waits = standin_calls("Synchronize", here);
        int number;
        /* Two GPU slots, whose users are behind: two more batches are on their way all the same. */
        for (number = 0; number < AHEAD; number++) {
            vxf_batch *batch = next_batch(loader);
            OK(vxf_batch_wait(batch, slow));
            compare_on(context, slow, batch, all, number, 0, &seen[number]);
            if (number >= 2) CHECK_STATUS(vxf_batch_query(batch), VXF_STATUS_NOT_READY);
            vxf_batch_release(batch);
        }
        CHECK(standin_settle());
        for (number = 0; number < AHEAD; number++) CHECK(!seen[number].ran);
        CHECK_STATUS(vxf_loader_close(loader, 0), VXF_STATUS_TIMEOUT);
        CHECK(standin_calls("Synchronize", here) == waits);
        standin_open(gate);
        standin_finish(context, slow);
        for (number = 0; number < AHEAD; number++) CHECK(is_right(&seen[number]));
        OK(vxf_loader_close(loader, -1));
        CHECK(standin_holds().device_blocks == 0 && standin_holds().pinned_blocks == 0);
        vxf_loader_free(loader);
    }
    no_violations();
    free_truth(all);
    vxf_sampler_free(sampler);
    return 0;
}
