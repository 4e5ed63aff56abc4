#include "check.hpp"

#include <fstream>

namespace {
const voxfeed::extents shape{2, 3, 4};
const double affine[16] = {0, 0, 2, -10, 0, 3, 0, -20, 4, 0, 0, -30, 0, 0, 0, 1};
} // namespace

TEST(a_volume_in_memory_comes_back) {
    voxfeed::dataset data;
    const std::uint64_t subject = data.add_subject("a");
    const std::vector<std::int16_t> voxels = check::ramp<std::int16_t>(shape);
    data.add_tensor(subject, "images", "T1", {voxels.data(), shape}, affine);
    std::vector<std::int16_t> same(24);
    data.read(subject, "images", "T1", {same.data(), shape});
    CHECK(same == voxels);
    std::vector<float> floats(24);
    data.read(subject, "images", "", {floats.data(), {1, 2, 3, 4}});
    CHECK(floats[23] == 23.0F);
}

TEST(a_region_may_reach_outside) {
    voxfeed::dataset data = check::subjects(1, shape);
    std::vector<float> voxels(2 * 3 * 2, -1.0F);
    data.read(0, "images", "T1", {voxels.data(), {2, 3, 2}}, {{0, 0, 3}, {2, 3, 2}});
    CHECK(voxels[0] == 3.0F && voxels[1] == 0.0F && voxels[2] == 7.0F);
    std::vector<float> rest(1 * 3 * 4);
    data.read(0, "images", "T1", {rest.data(), {1, 3, 4}}, {{1, 0, 0}, {}});
    CHECK(rest[0] == 12.0F);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, data.read(0, "images", "T1", {rest.data(), {1, 3, 4}}, {{0, 0, 0, 0, 0, 0, 0}, {}}));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, data.read(0, "images", "T1", {rest.data(), {3, 4}}));
}

TEST(a_value_that_does_not_fit_is_a_range_error) {
    voxfeed::dataset data = check::subjects(2, shape);
    std::vector<std::uint8_t> bytes(24);
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, data.read(1, "images", "T1", {bytes.data(), shape}));
}

TEST(the_header_of_a_volume_is_told) {
    voxfeed::dataset data;
    data.add_subject("a");
    const std::vector<float> voxels = check::ramp<float>(shape);
    data.add_tensor(0, "images", "T1", {voxels.data(), shape}, affine);
    const voxfeed::volume_info info = data.info(0, "images");
    CHECK(info.dtype == voxfeed::dtype::f32 && info.value_dtype == voxfeed::dtype::f32);
    CHECK(info.shape == shape && info.channels == 1 && info.has_affine && info.path.empty());
    CHECK(info.scale_slope == 1.0 && info.scale_intercept == 0.0 && !info.format.empty());
    CHECK(std::equal(affine, affine + 16, info.affine.begin()));
    CHECK(info.spacing_mm[0] == 4.0 && info.spacing_mm[1] == 3.0 && info.spacing_mm[2] == 2.0);
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, data.info(0, "labels"));
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, data.info(0, "images", "T2"));
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, data.info(1, "images"));
}

TEST(subjects_have_ids_categories_and_attributes) {
    voxfeed::dataset data = check::subjects(3);
    CHECK(data.size() == 3 && data.subject_id(2) == "s2" && data.find("s1") == 1);
    CHECK(data.categories(0).find("\"GT\"") != std::string::npos);
    data.set_attribute(1, "age", "42");
    data.set_attribute(1, "side", "\"left\"");
    CHECK(data.attribute(1, "age") == "42");
    CHECK(data.attributes(1).find("left") != std::string::npos);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, data.set_attribute(1, "age", "forty-two"));
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, data.attribute(0, "age"));
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, data.find("s3"));
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, data.subject_id(3));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, data.add_subject("s0"));
}

TEST(splits_and_subsets_are_datasets) {
    voxfeed::dataset data = check::subjects(4);
    data.set_split("train", {3, 1});
    CHECK(data.splits().find("\"train\":[") != std::string::npos);
    const voxfeed::dataset train = data.split("train");
    CHECK(train.size() == 2 && train.subject_id(0) == "s3");
    CHECK(data.subset({2}).subject_id(0) == "s2");
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, data.split("test"));
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, data.subset({4}));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, data.set_split("train", {1, 1}));
}

TEST(files_are_opened_by_their_content) {
    const check::folder folder;
    const std::vector<std::int16_t> voxels = check::ramp<std::int16_t>(shape);
    voxfeed::save_volume(folder.file("a.nii.gz"), {voxels.data(), shape}, affine);
    voxfeed::dataset data(folder.file("a.nii.gz"));
    CHECK(data.size() == 1);
    voxfeed::dataset made;
    made.add_subject("a");
    made.add_file(0, "images", "T1", folder.file("a.nii.gz"));
    const voxfeed::volume_info info = made.info(0, "images");
    CHECK(info.path == folder.file("a.nii.gz") && info.shape == shape && info.spacing_mm[0] == 4.0);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, made.add_file(0, "images", "T1", folder.file("a.nii.gz")));
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, made.add_file(0, "images", "T2", folder.file("b.nii.gz")));
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, made.add_file(1, "images", "T1", folder.file("a.nii.gz")));
}

TEST(an_error_names_its_file) {
    const check::folder folder;
    const std::string path = folder.file("broken.npy");
    std::ofstream(path) << "no numbers";
    try {
        voxfeed::dataset data;
        data.add_subject("a");
        data.add_file(0, "images", "T1", path);
        CHECK(!"the file was taken");
    } catch (const voxfeed::error &why) {
        CHECK(why.status() == VXF_STATUS_ERR_FORMAT || why.status() == VXF_STATUS_ERR_UNSUPPORTED);
        CHECK(why.path() == path && std::string(why.what()).find("broken.npy") != std::string::npos);
        CHECK(why.sample() == -1 && why.device_error() == 0);
    }
    try {
        voxfeed::dataset data(folder.file("missing"));
        CHECK(!"there was something");
    } catch (const voxfeed::error &why) {
        CHECK(why.status() == VXF_STATUS_ERR_NOT_FOUND && why.path() == folder.file("missing"));
    }
}

TEST(options_of_a_dataset_are_heard) {
    const check::folder folder;
    const std::vector<std::int16_t> voxels = check::ramp<std::int16_t>(shape);
    voxfeed::save_volume(folder.file("a.nii"), {voxels.data(), shape}, affine);
    voxfeed::save_volume(folder.file("b.nii"), {voxels.data(), shape});
    voxfeed::dataset_options options;
    options.orient = "LPS";
    options.io = voxfeed::io::positional;
    options.cache_bytes = 1 << 20;
    const voxfeed::dataset turned(folder.file("a.nii"), options);
    std::vector<std::int16_t> seen(24);
    const std::string json = turned.categories(0);
    const std::string category = json.substr(2, json.find('"', 2) - 2);
    turned.read(0, category, "", {seen.data(), shape});
    // Left and posterior point the other way, superior as before.
    CHECK(seen[0] == 11 && seen[11] == 0 && seen[12] == 23);

    voxfeed::dataset strict;
    strict.add_subject("a");
    strict.add_file(0, "images", "T1", folder.file("a.nii"));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, strict.add_file(0, "labels", "GT", folder.file("b.nii")));
    options = {};
    options.geometry = voxfeed::geometry::shape;
    options.io = voxfeed::io::map;
    voxfeed::dataset loose(options);
    loose.add_subject("a");
    loose.add_file(0, "images", "T1", folder.file("a.nii"));
    loose.add_file(0, "labels", "GT", folder.file("b.nii"));
    options.orient = "RAX";
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::dataset(options));
}

TEST(options_of_a_file_are_heard) {
    const check::folder folder;
    const std::vector<float> voxels = check::ramp<float>({2, 3, 4, 5});
    voxfeed::save_volume(folder.file("c.npy"), {voxels.data(), {2, 3, 4, 5}});
    voxfeed::dataset data;
    data.add_subject("first");
    data.add_subject("last");
    voxfeed::file_options options;
    options.channel = voxfeed::channel::first;
    data.add_file(0, "images", "T1", folder.file("c.npy"), options);
    CHECK(data.info(0, "images").channels == 2 && data.info(0, "images").shape == (voxfeed::extents{3, 4, 5}));
    options.channel = voxfeed::channel::last;
    data.add_file(1, "images", "T1", folder.file("c.npy"), options);
    CHECK(data.info(1, "images").channels == 5 && data.info(1, "images").shape == (voxfeed::extents{2, 3, 4}));

    voxfeed::save_volume(folder.file("c.h5"), {voxels.data(), {6, 4, 5}});
    data.add_subject("inner");
    options = {};
    options.inner = "/no/such/dataset";
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, data.add_file(2, "images", "T1", folder.file("c.h5"), options));
}

int main() { return check::run_all(); }
