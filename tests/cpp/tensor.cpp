#include "check.hpp"

#include <type_traits>

TEST(a_type_has_one_dtype) {
    CHECK(voxfeed::dtype_of<bool>() == voxfeed::dtype::boolean);
    CHECK(voxfeed::dtype_of<std::int8_t>() == voxfeed::dtype::i8);
    CHECK(voxfeed::dtype_of<std::uint16_t>() == voxfeed::dtype::u16);
    CHECK(voxfeed::dtype_of<std::int16_t>() == voxfeed::dtype::i16);
    CHECK(voxfeed::dtype_of<std::uint32_t>() == voxfeed::dtype::u32);
    CHECK(voxfeed::dtype_of<std::int32_t>() == voxfeed::dtype::i32);
    CHECK(voxfeed::dtype_of<unsigned long long>() == voxfeed::dtype::u64);
    CHECK(voxfeed::dtype_of<const long>() == voxfeed::dtype::i64);
    CHECK(voxfeed::dtype_of<double>() == voxfeed::dtype::f64);
    CHECK(voxfeed::bits_of(voxfeed::dtype::f16) == 16);
}

TEST(a_dtype_has_the_name_that_transforms_use) {
    CHECK(voxfeed::name_of(voxfeed::dtype::u8) == "u8");
    CHECK(voxfeed::name_of(voxfeed::dtype::i64) == "i64");
    CHECK(voxfeed::name_of(voxfeed::dtype::f16) == "f16");
    CHECK(voxfeed::name_of(voxfeed::dtype::boolean) == "bool");
    CHECK(voxfeed::name_of(voxfeed::dtype::stored) == "stored");
}

TEST(a_view_tells_shape_and_strides) {
    std::vector<float> voxels(24);
    const voxfeed::tensor_view view(voxels.data(), {2, 3, 4});
    CHECK(view.ndim() == 3 && view.size() == 24 && view.shape().size() == 3);
    CHECK(view.shape(0) == 2 && view.shape()[2] == 4);
    CHECK(view.stride(0) == 12 && view.strides()[1] == 4 && view.stride(2) == 1);
    CHECK(view.dtype() == voxfeed::dtype::f32 && view.device() == VXF_DEVICE_CPU && view.device_id() == 0);
    CHECK(view.raw() == voxels.data() && view.get()->data == voxels.data());
    CHECK(view.values<float>().size() == 24 && view.values<float>().data() == voxels.data());
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, view.shape(3));
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, view.stride(3));
}

TEST(data_of_another_type_is_refused) {
    std::vector<float> voxels(24);
    const voxfeed::tensor_view view(voxels.data(), {24});
    CHECK(view.data<float>() == voxels.data() && view.data<const float>() == voxels.data());
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, view.data<double>());
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, view.values<std::int32_t>());
    bool truth[2] = {true, false};
    CHECK(voxfeed::tensor_view(truth, {2}).data<std::uint8_t>()[0] == 1);
}

TEST(constants_stay_constant) {
    const std::vector<float> voxels(4);
    const voxfeed::tensor_view view(voxels.data(), {4});
    CHECK(view.data<const float>() == voxels.data());
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, view.data<float>());
}

TEST(a_view_with_gaps_has_no_row_of_values) {
    vxf_tensor tensor{};
    std::vector<float> voxels(12);
    tensor.struct_size = sizeof tensor;
    tensor.dtype = VXF_DTYPE_F32;
    tensor.data = voxels.data();
    tensor.ndim = 2;
    tensor.shape[0] = tensor.shape[1] = 3;
    CHECK(voxfeed::tensor_view(tensor).is_dense());
    tensor.strides[0] = 4;
    tensor.strides[1] = 1;
    CHECK(!voxfeed::tensor_view(tensor).is_dense());
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::tensor_view(tensor).values<float>());
    tensor.device = VXF_DEVICE_CUDA;
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::tensor_view(tensor).data<float>());
}

TEST(half_precision_is_passed_by_its_dtype) {
    std::vector<std::uint16_t> voxels(8);
    const voxfeed::tensor_view view(voxels.data(), voxfeed::dtype::f16, {2, 4});
    CHECK(view.dtype() == voxfeed::dtype::f16 && view.raw() == voxels.data() && view.is_dense());
}

TEST(too_many_axes_are_refused) {
    float voxel = 0;
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::tensor_view(&voxel, {1, 1, 1, 1, 1, 1, 1, 1, 1}));
}

TEST(a_view_of_nothing_is_empty) {
    const voxfeed::tensor_view view;
    CHECK(view.ndim() == 0 && view.raw() == nullptr && view.shape().empty());
}

TEST(a_view_takes_the_shape_of_another) {
    std::vector<float> mine(24), yours(24);
    const voxfeed::tensor_view first(mine.data(), {2, 3, 4});
    const voxfeed::tensor_view second(yours.data(), first.shape());
    CHECK(second.ndim() == 3 && second.shape(0) == 2 && second.shape(2) == 4 && second.stride(0) == 12);
    CHECK(second.data<float>() == yours.data());
}

TEST(the_library_tells_what_it_is) {
    CHECK(vxf_abi_version() == voxfeed::abi_version);
    CHECK(voxfeed::version().find('.') != std::string::npos);
    CHECK(voxfeed::build_info().find('{') == 0);
    CHECK(voxfeed::cuda_device_count() >= 0);
}

int main() { return check::run_all(); }
