#include <iostream>
#include <string>
#include <voxfeed.hpp>

static_assert(__cplusplus >= 201703L, "voxfeed::cpp must bring C++17");

int main() {
    const std::string version = vxf_version_string();
    std::cout << "abi " << vxf_abi_version() << " version " << version << '\n';
    return version.empty() ? 1 : 0;
}
