// As much of LibTorch's tensor as the C++ face uses: a view with an owner. The real one is tried by `./x peers`.
#ifndef FAKE_ATEN_H
#define FAKE_ATEN_H

#include <cstdint>
#include <memory>
#include <vector>

namespace at {

enum ScalarType { kByte, kChar, kShort, kInt, kLong, kHalf, kFloat, kDouble, kComplexFloat, kBool };

struct Tensor {
    ScalarType type = kFloat;
    int device = 1;
    int number = 0;
    void *data = nullptr;
    std::vector<std::int64_t> shape{};
    std::vector<std::int64_t> steps{};
    std::shared_ptr<void> owner{};

    ScalarType scalar_type() const { return type; }
    bool is_cpu() const { return device == 1; }
    bool is_cuda() const { return device == 2; }
    std::int64_t get_device() const { return number; }
    void *data_ptr() const { return data; }
    const std::vector<std::int64_t> &sizes() const { return shape; }
    std::int64_t stride(std::int64_t axis) const { return steps[static_cast<std::size_t>(axis)]; }
};

} // namespace at

#endif
