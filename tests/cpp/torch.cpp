// Batches as LibTorch's tensors, with as much of LibTorch as lies in fake/torch, and without CUDA.
#include "check.hpp"

#include <voxfeed/torch.hpp>

namespace {

voxfeed::loader of(const voxfeed::dataset &data, voxfeed::dtype images = voxfeed::dtype::stored) {
    voxfeed::loader_options options;
    options.batch_size = 2;
    options.categories = {voxfeed::category("images", images), voxfeed::category("labels")};
    return voxfeed::loader(voxfeed::sampler(data), options);
}

} // namespace

TEST(a_tensor_shows_the_batch_and_keeps_it) {
    const voxfeed::dataset data = check::subjects(3);
    voxfeed::loader loader = of(data);
    at::Tensor kept;
    for (auto &batch : loader.epoch(0)) {
        const at::Tensor labels = voxfeed::to_torch(batch, "labels");
        kept = voxfeed::to_torch(batch);
        CHECK(labels.scalar_type() == at::kByte && labels.data_ptr() == batch.tensor("labels").raw());
        CHECK(kept.is_cpu() && kept.scalar_type() == at::kFloat && kept.stride(4) == 1);
        CHECK(static_cast<const float *>(kept.data_ptr())[0] == static_cast<float>(batch.samples()[0].subject) * 1000.0F);
    }
    CHECK(loader.stats().held == 1);
    kept = {};
    CHECK(loader.stats().held == 0);
}

TEST(what_torch_refuses_is_given_back) {
    const voxfeed::dataset data = check::subjects(1);
    voxfeed::loader loader = of(data, voxfeed::dtype::u16);
    loader.start(0);
    voxfeed::batch batch;
    CHECK(loader.next(batch));
    bool thrown = false;
    try {
        voxfeed::to_torch(batch, "images");
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    CHECK(thrown);
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, voxfeed::to_torch(batch, "dose"));
    batch.release();
    CHECK(loader.stats().held == 0);
}

TEST(predictions_are_added_without_a_copy) {
    const voxfeed::dataset data = check::subjects(2);
    voxfeed::loader loader = of(data);
    voxfeed::assembler volumes(loader);
    std::vector<float> result(4 * 5 * 6);
    for (auto &batch : loader.epoch(0)) {
        volumes.add(batch, voxfeed::from_torch(voxfeed::to_torch(batch, "images")));
    }
    volumes.take(1, {result.data(), {1, 4, 5, 6}});
    CHECK(result.front() == 1000.0F && result.back() == 1119.0F);
    at::Tensor odd;
    odd.type = at::kComplexFloat;
    CHECK_THROWS(VXF_STATUS_ERR_UNSUPPORTED, voxfeed::from_torch(odd));
    odd.type = at::kFloat;
    odd.device = 3;
    CHECK_THROWS(VXF_STATUS_ERR_UNSUPPORTED, voxfeed::from_torch(odd));
}

int main() { return check::run_all(); }
