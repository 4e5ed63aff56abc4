#include <iostream>
#include <voxfeed.hpp>
#include <voxfeed/cuda.hpp>

#ifndef HAS_CUDART
#error "voxfeed::cuda must bring the runtime to a program that has none"
#endif

int main() {
    std::cout << "abi " << vxf_abi_version() << " version " << vxf_version_string() << '\n';
    return voxfeed::stream().get() == cudaStreamLegacy ? 0 : 1;
}
