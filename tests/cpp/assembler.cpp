#include "check.hpp"

namespace {

const voxfeed::extents shape{7, 6, 5};

voxfeed::loader_options images_only() {
    voxfeed::loader_options options;
    options.batch_size = 3;
    options.categories = {"images"};
    return options;
}

voxfeed::sampler_options overlapping() { return voxfeed::grid({4, 4, 4}, {2, 2, 2}, voxfeed::border::shift); }

std::vector<float> source(const voxfeed::dataset &data, std::uint64_t subject) {
    std::vector<float> voxels(7 * 6 * 5);
    data.read(subject, "images", "T1", {voxels.data(), shape});
    return voxels;
}

} // namespace

TEST(what_is_cut_comes_together_again) {
    voxfeed::dataset data = check::subjects(2, shape);
    voxfeed::sampler patches(data, overlapping());
    for (const auto how : {voxfeed::blend::last, voxfeed::blend::mean, voxfeed::blend::gaussian}) {
        voxfeed::loader loader(patches, images_only());
        voxfeed::assembler_options options;
        options.blend = how;
        options.accumulate = voxfeed::dtype::f64;
        options.sigma = 0.25;
        voxfeed::assembler volumes(loader, options);
        std::uint64_t subject = 0;
        CHECK(volumes.next_complete(subject) == VXF_STATUS_NOT_READY);
        for (auto &batch : loader.epoch(0)) {
            volumes.add(batch, batch.tensor("images"));
        }
        for (std::uint64_t expected : {0U, 1U}) {
            CHECK(volumes.next_complete(subject) == VXF_STATUS_OK && subject == expected);
            CHECK(volumes.coverage(subject) == 1.0);
            const voxfeed::tensor_view told = volumes.shape(subject);
            CHECK(told.dtype() == voxfeed::dtype::f32 && told.ndim() == 4 && told.shape(0) == 1 && told.shape(1) == 7);
            std::vector<float> joined(told.size());
            volumes.take(subject, {joined.data(), {1, 7, 6, 5}});
            CHECK(joined == source(data, subject));
        }
        CHECK(volumes.next_complete(subject) == VXF_STATUS_END);
    }
}

TEST(samples_may_be_kept_without_their_batch) {
    voxfeed::dataset data = check::subjects(1, shape);
    voxfeed::loader loader(voxfeed::sampler(data, overlapping()), images_only());
    voxfeed::assembler volumes(loader);
    for (auto &batch : loader.epoch(0)) {
        const voxfeed::span<float> row = batch.tensor("images").values<float>();
        const std::vector<float> kept(row.begin(), row.end());
        const std::vector<vxf_sample> samples = batch.samples();
        batch.release();
        volumes.add(samples, {kept.data(), {static_cast<std::int64_t>(samples.size()), 1, 4, 4, 4}});
    }
    std::vector<float> joined(7 * 6 * 5);
    volumes.take(0, {joined.data(), {1, 7, 6, 5}});
    CHECK(joined == source(data, 0));
}

TEST(the_largest_channel_is_a_label_map_and_a_file) {
    const check::folder folder;
    voxfeed::dataset data = check::subjects(1, shape);
    voxfeed::loader loader(voxfeed::sampler(data), images_only());
    voxfeed::assembler_options options;
    options.reduce = voxfeed::reduce::argmax;
    voxfeed::assembler volumes(loader, options);
    std::vector<float> channels(3 * 210);
    for (std::size_t i = 0; i < 210; ++i) {
        channels[i % 3 * 210 + i] = 1.0F;
    }
    for (auto &batch : loader.epoch(0)) {
        volumes.add(batch, {channels.data(), {1, 3, 7, 6, 5}});
    }
    CHECK(volumes.shape(0).dtype() == voxfeed::dtype::u8);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, volumes.save(0, folder.file("labels.jpg")));
    volumes.save(0, folder.file("labels.nii.gz"));
    voxfeed::dataset saved;
    saved.add_subject("a");
    saved.add_file(0, "labels", "prediction", folder.file("labels.nii.gz"));
    std::vector<std::uint8_t> labels(210);
    saved.read(0, "labels", "", {labels.data(), shape});
    CHECK(labels[0] == 0 && labels[1] == 1 && labels[2] == 2 && labels[209] == 2);
}

TEST(what_is_incomplete_is_given_only_when_asked_for) {
    voxfeed::dataset data = check::subjects(1, shape);
    voxfeed::loader loader(voxfeed::sampler(data, voxfeed::grid({7, 6, 2}, {}, voxfeed::border::shift)), images_only());
    voxfeed::assembler_options options;
    options.dtype = voxfeed::dtype::u8;
    voxfeed::assembler volumes(loader, options);
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, volumes.shape(0));
    loader.start(0);
    const voxfeed::batch batch = loader.try_next().value;
    std::vector<vxf_sample> first = batch.samples();
    first.resize(1);
    const std::vector<float> ones(7 * 6 * 2, 1.0F);
    volumes.add(first, {ones.data(), {1, 1, 7, 6, 2}});
    CHECK_THROWS(VXF_STATUS_ERR_STATE, volumes.add(first, {ones.data(), {1, 1, 7, 6, 2}}));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, volumes.add(batch, {ones.data(), {1, 1, 7, 6, 2}}));
    CHECK(volumes.coverage(0) > 0.39 && volumes.coverage(0) < 0.41);
    std::vector<std::uint8_t> joined(210, 7);
    const voxfeed::tensor_view into(joined.data(), {1, 7, 6, 5});
    CHECK_THROWS(VXF_STATUS_ERR_STATE, volumes.take(0, into));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT,
                 volumes.take(0, {joined.data(), {1, 7, 6, 4}}, voxfeed::completeness::partial));
    volumes.take(0, into, voxfeed::completeness::partial);
    CHECK(joined[0] == 1 && joined[4] == 0);
}

int main() { return check::run_all(); }
