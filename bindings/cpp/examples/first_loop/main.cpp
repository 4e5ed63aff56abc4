#include <cstdio>
#include <voxfeed.hpp>

int main(int count, char **arguments) try {
    voxfeed::dataset data(count > 1 ? arguments[1] : "brains");
    voxfeed::sampler patches(data, voxfeed::uniform({64, 64, 64}, 8));
    voxfeed::loader_options options;
    options.batch_size = 4;
    options.order = voxfeed::order::shuffled;
    voxfeed::loader loader(patches, options);
    for (unsigned epoch = 0; epoch < 2; epoch++)
        for (auto &batch : loader.epoch(epoch)) {
            const voxfeed::tensor_view images = batch.tensor("images");
            std::printf("%u: %d patches, %s\n", epoch, int(images.shape(0)), voxfeed::name_of(images.dtype()).c_str());
        }
} catch (const voxfeed::error &why) {
    std::fprintf(stderr, "%s\n", why.what());
    return 1;
}
