#include "check.hpp"

#include <cstring>

namespace {

template <class Options> bool same(const Options &a, const Options &b) { return std::memcmp(&a, &b, sizeof a) == 0; }

} // namespace

TEST(the_first_state_of_every_struct_is_the_default_of_the_library) {
    vxf_dataset_options dataset;
    vxf_file_options file;
    vxf_sampler_options sampler;
    vxf_assembler_options assembler;
    vxf_writer_options writer;
    vxf_montage_options montage;
    CHECK(vxf_dataset_options_init(&dataset, sizeof dataset) == VXF_STATUS_OK);
    CHECK(vxf_file_options_init(&file, sizeof file) == VXF_STATUS_OK);
    CHECK(vxf_sampler_options_init(&sampler, sizeof sampler) == VXF_STATUS_OK);
    CHECK(vxf_assembler_options_init(&assembler, sizeof assembler) == VXF_STATUS_OK);
    CHECK(vxf_writer_options_init(&writer, sizeof writer) == VXF_STATUS_OK);
    CHECK(vxf_montage_options_init(&montage, sizeof montage) == VXF_STATUS_OK);
    CHECK(same(dataset, voxfeed::detail::to_c(voxfeed::dataset_options())));
    CHECK(same(file, voxfeed::detail::to_c(voxfeed::file_options())));
    CHECK(same(sampler, voxfeed::detail::to_c(voxfeed::sampler_options())));
    CHECK(same(assembler, voxfeed::detail::to_c(voxfeed::assembler_options())));
    CHECK(same(writer, voxfeed::detail::to_c(voxfeed::writer_options())));
    CHECK(same(montage, voxfeed::detail::to_c(voxfeed::montage_options())));
}

TEST(the_first_state_of_loader_options_is_the_default_of_the_library) {
    vxf_loader_options told;
    CHECK(vxf_loader_options_init(&told, sizeof told) == VXF_STATUS_OK);
    const voxfeed::loader_options ours;
    CHECK(told.batch_size == ours.batch_size && told.prefetch == ours.prefetch && told.threads == ours.threads);
    CHECK(told.order == static_cast<vxf_order>(ours.order));
    CHECK(told.last_batch == static_cast<vxf_last_batch>(ours.last_batch));
    CHECK(told.on_error == static_cast<vxf_on_error>(ours.on_error));
    CHECK(told.ragged == static_cast<vxf_ragged>(ours.ragged));
    CHECK(told.thin_axis == static_cast<vxf_thin_axis>(ours.thin_axis));
    CHECK(told.endless == ours.endless && told.rank == ours.rank && told.world_size == ours.world_size);
    CHECK(told.seed == ours.seed && told.transform == nullptr && told.categories == nullptr);
    CHECK(told.category_count == 0 && told.device == ours.device && told.device_id == ours.device_id);
    CHECK(told.group_window == ours.group_window && told.consumer == static_cast<vxf_consumer>(ours.consumer));
    CHECK(told.cast == static_cast<vxf_cast>(ours.cast) && told.pinned == ours.pinned);
}

TEST(every_field_reaches_the_library) {
    voxfeed::sampler_options rule = voxfeed::grid({1, 2, 3}, {4, 5, 6}, voxfeed::border::clip);
    rule.stride = {7, 8, 9};
    rule.axes = {2, 1};
    rule.samples_per_subject = 10;
    const vxf_sampler_options sampler = voxfeed::detail::to_c(rule);
    CHECK(sampler.kind == VXF_SAMPLER_KIND_GRID && sampler.border == VXF_BORDER_CLIP && sampler.axis_count == 2);
    CHECK(sampler.axes[0] == 2 && sampler.patch_shape[2] == 3 && sampler.overlap[0] == 4 && sampler.stride[1] == 8);
    CHECK(sampler.samples_per_subject == 10 && sampler.patch_shape[3] == 0);
    voxfeed::dataset_options opened;
    opened.io = voxfeed::io::positional;
    opened.geometry = voxfeed::geometry::shape;
    opened.cache_bytes = 5;
    opened.orient = "RAS";
    opened.seek_index = voxfeed::seek_index::always;
    opened.index_place = voxfeed::index_place::beside;
    opened.index_folder = "indexes";
    const vxf_dataset_options dataset = voxfeed::detail::to_c(opened);
    CHECK(dataset.io == VXF_IO_POSITIONAL && dataset.geometry == VXF_GEOMETRY_SHAPE && dataset.cache_bytes == 5);
    CHECK(std::string(dataset.orient) == "RAS" && std::string(dataset.index_folder) == "indexes");
    CHECK(dataset.seek_index == VXF_SEEK_INDEX_ALWAYS && dataset.index_place == VXF_INDEX_PLACE_BESIDE);
}

int main() { return check::run_all(); }
