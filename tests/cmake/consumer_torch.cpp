#include <iostream>
#include <voxfeed.hpp>
#include <voxfeed/torch.hpp>

int main() {
    at::Tensor (*const to_torch)(const voxfeed::batch &, const std::string &) = voxfeed::to_torch;
    std::cout << "abi " << vxf_abi_version() << " version " << vxf_version_string() << '\n';
    return to_torch != nullptr ? 0 : 1;
}
