#include "check.hpp"

#include <fstream>
#include <stdexcept>

namespace {

std::string beginning(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes(8, '\0');
    file.read(&bytes[0], 8);
    return bytes;
}

voxfeed::writer_options replacing() {
    voxfeed::writer_options options;
    options.existing = voxfeed::existing::replace;
    return options;
}

} // namespace

TEST(a_dataset_is_written_and_opened) {
    const check::folder folder;
    const double affine[16] = {0, 0, 2, -10, 0, 3, 0, -20, 4, 0, 0, -30, 0, 0, 0, 1};
    const std::vector<float> voxels = check::ramp<float>({2, 3, 4});
    voxfeed::writer file(folder.file("data.h5"));
    CHECK_THROWS(VXF_STATUS_ERR_STATE, file.add_entry("images", "T1", {voxels.data(), {2, 3, 4}}));
    file.add_subject("a");
    file.add_entry("images", "T1", {voxels.data(), {2, 3, 4}}, affine);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, file.add_entry("images", "T2", {voxels.data(), {2, 3, 3}}));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, file.add_subject("a"));
    CHECK(!std::filesystem::exists(folder.file("data.h5")));
    file.finish();
    const voxfeed::dataset data(folder.file("data.h5"));
    const voxfeed::volume_info info = data.info(0, "images");
    CHECK(data.subject_id(0) == "a" && info.has_affine && info.path == folder.file("data.h5"));
    for (std::size_t i = 0; i < 16; ++i) {
        CHECK(info.affine[i] - affine[i] < 1e-9 && affine[i] - info.affine[i] < 1e-9);
    }
    std::vector<float> same(24);
    data.read(0, "images", "T1", {same.data(), {2, 3, 4}});
    CHECK(same == voxels);
}

TEST(whole_datasets_are_written_with_progress) {
    const check::folder folder;
    const voxfeed::dataset data = check::subjects(4);
    voxfeed::writer file(folder.file("data.h5"));
    std::uint64_t last = 0;
    CHECK(file.add_dataset(data, [&](std::uint64_t done, std::uint64_t total) {
        last = done;
        return total == 4;
    }));
    file.finish();
    CHECK(last == 4 && voxfeed::dataset(folder.file("data.h5")).size() == 4);
}

TEST(progress_can_stop) {
    const check::folder folder;
    const voxfeed::dataset data = check::subjects(4);
    voxfeed::writer file(folder.file("data.h5"));
    CHECK(!file.add_dataset(data, [](std::uint64_t done, std::uint64_t) { return done < 2; }));
}

TEST(what_progress_throws_arrives_at_the_caller) {
    const check::folder folder;
    const voxfeed::dataset data = check::subjects(4);
    voxfeed::writer file(folder.file("data.h5"));
    std::string thrown;
    try {
        file.add_dataset(data, [](std::uint64_t, std::uint64_t) -> bool { throw std::runtime_error("enough"); });
    } catch (const std::runtime_error &why) {
        thrown = why.what();
    }
    CHECK(thrown == "enough");
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, file.add_dataset(data));
}

TEST(an_older_file_stays_until_the_new_one_is_complete) {
    const check::folder folder;
    const std::string path = folder.file("data.h5");
    std::ofstream(path) << "older";
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::writer(path));
    { voxfeed::writer(path, replacing()).add_dataset(check::subjects(1)); }
    CHECK(beginning(path).substr(0, 5) == "older");
    voxfeed::writer file(path, replacing());
    file.add_dataset(check::subjects(2));
    file.finish();
    CHECK(voxfeed::dataset(path).size() == 2);
    CHECK_THROWS(VXF_STATUS_ERR_STATE, file.finish());
    CHECK_THROWS(VXF_STATUS_ERR_STATE, voxfeed::writer(folder.file("empty.h5")).finish());
}

TEST(volumes_are_saved_in_every_format) {
    const check::folder folder;
    const std::vector<std::int16_t> voxels = check::ramp<std::int16_t>({2, 3, 4});
    for (const char *name : {"a.nii", "a.nii.gz", "a.npy", "a.h5"}) {
        voxfeed::save_volume(folder.file(name), {voxels.data(), {2, 3, 4}});
        voxfeed::dataset data;
        data.add_subject("a");
        data.add_file(0, "images", "T1", folder.file(name));
        std::vector<std::int16_t> same(24);
        data.read(0, "images", "T1", {same.data(), {2, 3, 4}});
        CHECK(same == voxels);
    }
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::save_volume(folder.file("a.png"), {voxels.data(), {2, 3, 4}}));
    try {
        voxfeed::save_volume(folder.file("no/such/folder/a.npy"), {voxels.data(), {2, 3, 4}});
        CHECK(!"it was saved");
    } catch (const voxfeed::error &why) {
        CHECK(why.status() == VXF_STATUS_ERR_NOT_FOUND || why.status() == VXF_STATUS_ERR_IO);
        CHECK(why.path().find("a.npy") != std::string::npos);
    }
}

TEST(a_montage_is_a_picture) {
    const check::folder folder;
    const voxfeed::extents shape{8, 9, 10};
    const std::vector<float> grey = check::ramp<float>(shape);
    std::vector<std::uint8_t> labels = check::ramp<std::uint8_t>(shape);
    const double affine[16] = {0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1};
    voxfeed::montage_options options;
    options.axis = 1;
    options.slices = 3;
    options.tile_pixels = 40;
    options.affine = affine;
    const std::string path = folder.file("a.png");
    voxfeed::save_montage(path, {{{grey.data(), shape}, "grey"}, {{labels.data(), shape}, "labels"}}, options);
    CHECK(beginning(path) == "\x89PNG\r\n\x1a\n");
    const voxfeed::extents of_two{2, 4, 9, 10};
    const std::vector<float> two = check::ramp<float>(of_two);
    voxfeed::save_montage(path, {{{two.data(), of_two}, "", voxfeed::look::grey, 1}});
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::save_montage(path, {{{two.data(), of_two}, "", voxfeed::look::grey, 2}}));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT,
                 voxfeed::save_montage(path, {{{grey.data(), shape}}, {{two.data(), of_two}}}));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::save_montage(path, {}));
    options.axis = 3;
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::save_montage(path, {{{grey.data(), shape}}}, options));
}

int main() { return check::run_all(); }
