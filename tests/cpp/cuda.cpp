// Batches on a GPU, with the stand-in driver of tests/standin and without a toolkit.
#include "check.hpp"

#include <thread>

#include <voxfeed/cuda.hpp>
#include <voxfeed/torch.hpp>

extern "C" {
#include <standin.h>
}

namespace {

#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
const vxf_stream default_stream = cudaStreamPerThread;
#else
const vxf_stream default_stream = cudaStreamLegacy;
#endif

voxfeed::loader_options on_gpu(std::int32_t device = 0) {
    voxfeed::loader_options options;
    options.batch_size = 2;
    options.device = VXF_DEVICE_CUDA;
    options.device_id = device;
    return options;
}

CUstream a_stream(int device = 0) {
    CUcontext context = nullptr;
    cuInit(0);
    cuDevicePrimaryCtxRetain(&context, device);
    return standin_stream(context, CU_STREAM_NON_BLOCKING);
}

/// How often this thread has let a stream wait; streams that are gone may have had the same handle.
std::size_t waits(vxf_stream stream) {
    std::size_t found = 0;
    standin_entry entry;
    for (std::uint64_t at = 0; standin_log(at, &entry); ++at) {
        found += !entry.ran && entry.thread == standin_thread() && entry.stream == stream &&
                 entry.function == std::string("cuStreamWaitEvent");
    }
    return found;
}

template <class T> std::vector<T> copied(const voxfeed::batch &batch, const std::string &category) {
    const voxfeed::tensor_view there = batch.tensor(category);
    std::vector<T> here(there.size());
    batch.copy_to({here.data(), {there.shape().begin(), there.shape().end()}}, category);
    return here;
}

} // namespace

TEST(a_stream_says_which_default_stream_the_program_is_compiled_for) {
    const voxfeed::stream by_default;
    const voxfeed::stream null(cudaStream_t{nullptr});
    CHECK(by_default == default_stream && null == default_stream);
    const CUstream mine = a_stream();
    const voxfeed::stream own(mine);
    CHECK(own == mine && own.get() == mine);
    CHECK(voxfeed::stream(cudaStreamLegacy) == vxf_stream(cudaStreamLegacy));
    CHECK(voxfeed::stream(cudaStreamPerThread) == vxf_stream(cudaStreamPerThread));
}

TEST(batches_on_a_gpu_are_those_of_the_host) {
    const voxfeed::dataset data = check::subjects(5);
    voxfeed::loader there(voxfeed::sampler(data), on_gpu());
    voxfeed::loader_options by_two;
    by_two.batch_size = 2;
    voxfeed::loader here(voxfeed::sampler(data), by_two);
    here.start(0);
    voxfeed::batch expected;
    std::size_t rows = 0;
    for (auto &batch : there.epoch(0)) {
        CHECK(here.next(expected));
        const voxfeed::span<float> images = expected.tensor("images").values<float>();
        CHECK(copied<float>(batch, "images") == std::vector<float>(images.begin(), images.end()));
        const voxfeed::span<std::uint8_t> labels = expected.tensor("labels").values<std::uint8_t>();
        CHECK(copied<std::uint8_t>(batch, "labels") == std::vector<std::uint8_t>(labels.begin(), labels.end()));
        CHECK(copied<float>(expected, "images") == copied<float>(batch, "images"));
        rows += batch.size();
    }
    CHECK(rows == 5);
    CHECK(there.stats().uploads == 3 && there.stats().upload_bytes > 0 && here.stats().uploads == 0);
}

TEST(a_scope_lets_its_stream_wait_and_gives_the_batch_back_behind_it) {
    const voxfeed::dataset data = check::subjects(4);
    const CUstream stream = a_stream();
    voxfeed::loader loader(voxfeed::sampler(data), on_gpu());
    for (auto &batch : loader.epoch(0)) {
        const std::size_t before = waits(stream);
        {
            const voxfeed::batch_scope scope(batch, stream);
            CHECK(waits(stream) == before + 1);
            CHECK(scope.data<float>("images") == batch.tensor("images").raw());
            CHECK(scope.data<const std::uint8_t>("labels") != nullptr);
            CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, scope.data<std::int16_t>("images"));
            CHECK(loader.stats().held == 1);
        }
        CHECK(!batch && loader.stats().held == 0);
    }
}

TEST(every_way_to_wait_reaches_the_driver) {
    const voxfeed::dataset data = check::subjects(2);
    const CUstream stream = a_stream(1);
    voxfeed::loader loader(voxfeed::sampler(data), on_gpu(1));
    loader.start(0);
    voxfeed::batch batch;
    CHECK(loader.next(batch));
    const std::size_t before = waits(stream);
    const std::size_t before_default = waits(default_stream);
    batch.wait(stream);
    batch.wait(voxfeed::stream());
    CHECK(waits(stream) == before + 1 && waits(default_stream) == before_default + 1);
    batch.record_stream(voxfeed::stream(cudaStreamPerThread));
    batch.wait_here();
    CHECK(batch.query() && batch.ready_event() != nullptr);
    CHECK(batch.tensor("images").device() == VXF_DEVICE_CUDA && batch.tensor("images").device_id() == 1);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, batch.tensor("images").data<float>());
}

TEST(on_the_host_nothing_waits) {
    const voxfeed::dataset data = check::subjects(1);
    voxfeed::loader loader(voxfeed::sampler(data), {});
    loader.start(0);
    voxfeed::batch batch;
    CHECK(loader.next(batch) && batch.query());
    const CUstream stream = a_stream();
    const std::size_t before = waits(stream);
    batch.wait(stream);
    batch.wait();
    batch.record_stream(stream);
    batch.wait_here();
    CHECK(waits(stream) == before);
    CHECK_THROWS(VXF_STATUS_ERR_UNSUPPORTED, batch.ready_event());
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, batch.tensor("images").device_data<float>());
    CHECK(batch.tensor("images").on_device(1).device_id() == 1);
    std::vector<float> short_one(3);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, batch.copy_to({short_one.data(), {3}}, "images"));
}

TEST(pinned_memory_is_the_owners_alone) {
    const standin_held before = standin_holds();
    {
        voxfeed::pinned<std::int16_t> staging(1000);
        CHECK(standin_holds().pinned_blocks == before.pinned_blocks + 1);
        CHECK(staging.size() == 1000 && staging[999] == 0 && staging.end() - staging.begin() == 1000);
        staging[0] = 7;
        voxfeed::pinned<std::int16_t> moved = std::move(staging);
        CHECK(moved.span()[0] == 7 && staging.data() == nullptr);
    }
    CHECK(standin_holds().pinned_blocks == before.pinned_blocks);
    CHECK_THROWS(VXF_STATUS_ERR_MEMORY, voxfeed::pinned<double>(std::size_t{1} << 62));
}

TEST(a_batch_on_a_gpu_becomes_a_tensor_on_torchs_current_stream) {
    const voxfeed::dataset data = check::subjects(3);
    const CUstream stream = a_stream(1);
    voxfeed::loader loader(voxfeed::sampler(data), on_gpu(1));
    loader.start(0);
    voxfeed::batch batch;
    CHECK(loader.next(batch));
    c10::cuda::current_stream = stream;
    const std::size_t before = waits(stream);
    at::Tensor images = voxfeed::to_torch(batch, "images");
    CHECK(waits(stream) == before + 1 && c10::cuda::current_device == 1);
    CHECK(images.is_cuda() && images.get_device() == 1 && images.data_ptr() == batch.tensor("images").raw());
    CHECK(images.scalar_type() == at::kFloat && images.sizes() == (std::vector<std::int64_t>{2, 1, 4, 5, 6}));
    batch.release();
    CHECK(loader.stats().held == 1);
    const voxfeed::tensor_view back = voxfeed::from_torch(images);
    CHECK(back.device() == VXF_DEVICE_CUDA && back.device_id() == 1 && back.stride(0) == 120);
    std::thread([held = std::move(images)] {}).join();
    CHECK(loader.stats().held == 0);
}

int main() {
    const int failed = check::run_all();
    for (std::uint64_t at = 0; const char *violation = standin_violation(at); ++at) {
        // Copies to the program's own memory are the only ones that are not of pinned memory.
        CHECK(std::string(violation) == "a copy of memory that is not pinned");
    }
    return failed != 0 || check::failures() != 0;
}
