// Built with -fno-exceptions: the loop, and the errors of the data as results.
#include <cstdio>
#include <vector>

#include <voxfeed.hpp>

#ifndef VXF_NO_EXCEPTIONS
#error "voxfeed.hpp did not notice that there are no exceptions"
#endif

int main() {
    voxfeed::dataset data;
    for (int i = 0; i < 2; ++i) {
        const std::vector<float> voxels(8, static_cast<float>(i) * 300.0F);
        data.add_subject(i == 0 ? "fits" : "does not");
        data.add_tensor(static_cast<std::uint64_t>(i), "images", "T1", {voxels.data(), {2, 2, 2}});
    }
    voxfeed::loader_options options;
    options.categories = {"images"};
    options.categories[0].dtype = voxfeed::dtype::u8;
    voxfeed::loader loader(voxfeed::sampler(data), options);
    loader.start(0);
    const voxfeed::result<voxfeed::batch> first = loader.try_next();
    const voxfeed::result<voxfeed::batch> second = loader.try_next();
    const voxfeed::result<voxfeed::batch> third = loader.try_next();
    std::printf("%s, %s (%s), %s\n", vxf_status_name(first.status), vxf_status_name(second.status), second.why.what(),
                vxf_status_name(third.status));
    const bool right = first && first.value.size() == 1 && second.status == VXF_STATUS_ERR_RANGE &&
                       second.why.sample() == 1 && third.status == VXF_STATUS_END;
    return right ? 0 : 1;
}
