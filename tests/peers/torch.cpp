// The C++ face against a real LibTorch: batches become its tensors, and its tensors predictions, without a copy.
#include <voxfeed/torch.hpp>

#undef CHECK
#include "../cpp/check.hpp"

TEST(a_tensor_shows_the_batch_and_keeps_it) {
    const voxfeed::dataset data = check::subjects(3);
    voxfeed::loader loader(voxfeed::sampler(data), {});
    at::Tensor kept;
    for (auto &batch : loader.epoch(0)) {
        const float first = static_cast<float>(batch.samples()[0].subject) * 1000.0F;
        kept = voxfeed::to_torch(batch, "images");
        CHECK(kept.sizes() == at::IntArrayRef({1, 1, 4, 5, 6}) && kept.is_contiguous() && kept.is_cpu());
        CHECK(kept.data_ptr() == batch.tensor("images").raw());
        CHECK(kept.min().item<float>() == first && kept.max().item<float>() == first + 119.0F);
        CHECK(voxfeed::to_torch(batch, "labels").scalar_type() == at::kByte);
    }
    CHECK(loader.stats().held == 1);
    kept.reset();
    CHECK(loader.stats().held == 0);
}

TEST(every_dtype_arrives_or_is_refused_and_given_back) {
    const voxfeed::dataset data = check::subjects(1);
    for (const voxfeed::dtype wanted : {voxfeed::dtype::u8, voxfeed::dtype::i16, voxfeed::dtype::u16, voxfeed::dtype::i32,
                                        voxfeed::dtype::i64, voxfeed::dtype::f16, voxfeed::dtype::f32, voxfeed::dtype::f64}) {
        voxfeed::loader_options options;
        options.categories = {voxfeed::category("images", wanted)};
        voxfeed::loader loader(voxfeed::sampler(data), options);
        loader.start(0);
        voxfeed::batch batch;
        CHECK(loader.next(batch));
        {
            const at::Tensor tensor = voxfeed::to_torch(batch);
            CHECK(tensor.to(at::kDouble).sum().item<double>() == 119.0 * 60.0);
        }
        batch.release();
        CHECK(loader.stats().held == 0);
    }
}

TEST(predictions_of_any_strides_are_added) {
    const voxfeed::dataset data = check::subjects(2);
    voxfeed::loader loader(voxfeed::sampler(data), {});
    voxfeed::assembler volumes(loader);
    for (auto &batch : loader.epoch(0)) {
        const at::Tensor images = voxfeed::to_torch(batch, "images");
        const at::Tensor prediction = at::stack({images, images * 2.0}, -1).select(-1, 1);
        CHECK(!prediction.is_contiguous());
        volumes.add(batch, voxfeed::from_torch(prediction));
    }
    std::vector<float> result(4 * 5 * 6);
    volumes.take(1, {result.data(), {1, 4, 5, 6}});
    CHECK(result.front() == 2000.0F && result.back() == 2238.0F);
    CHECK_THROWS(VXF_STATUS_ERR_UNSUPPORTED, voxfeed::from_torch(at::zeros({1}, at::kComplexFloat)));
}

int main() { return check::run_all(); }
