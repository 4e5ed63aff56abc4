// Overlapping patches of a volume in, one label map out.
#ifndef BRAIN_PREDICTION_HPP
#define BRAIN_PREDICTION_HPP

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <voxfeed.hpp>

#include "classifier.hpp"
#include "progress.hpp"
#include "training.hpp"

namespace brain {

/// Writes the probabilities (rest, brain) of one patch.
inline void predict_patch(const classifier &network, bench &at, const float *voxels, float *probabilities) {
    const std::int64_t size = patch * patch * patch;
    at.seen.look(voxels);
    for (std::int64_t depth = 0; depth < patch; ++depth) {
        for (std::int64_t height = 0; height < patch; ++height) {
            const std::int64_t row = (depth * patch + height) * patch;
            const float *brain = at.run.predict(network.weights(), at.seen.rows(depth, height, false));
            std::copy(brain, brain + patch, probabilities + size + row);
            std::transform(brain, brain + patch, probabilities + row, [](float share) { return 1.0F - share; });
        }
    }
}

/// Predicts the first subject of a dataset with a sliding window, and saves what is likelier, 1 for brain.
inline void predict(const classifier &network, const voxfeed::dataset &data, const std::string &path) {
    constexpr std::int64_t overlap = patch / 4;
    voxfeed::sampler patches(data, voxfeed::grid({patch, patch, patch}, {overlap, overlap, overlap}, voxfeed::border::shift));
    voxfeed::transform prepare(preparation);
    voxfeed::loader_options options;
    options.batch_size = batch_size;
    options.transform = &prepare;
    options.categories = {images(), "labels"};
    voxfeed::loader loader(patches, options);
    voxfeed::assembler_options how;
    how.blend = voxfeed::blend::gaussian;
    how.reduce = voxfeed::reduce::argmax;
    voxfeed::assembler volumes(loader, how);

    std::vector<bench> benches(batch_size);
    std::vector<float> probabilities(std::size_t(2 * patch * patch * patch) * batch_size);
    std::uint64_t done = 0;
    progress bar("predict");
    const stopwatch watch;
    const auto state = [&] {
        return words("%.0f patches with an overlap of %d voxels, %.0f patches/s", double(done), int(overlap),
                     double(done) / watch.seconds());
    };
    for (const voxfeed::batch &batch : loader.epoch(0)) {
        const float *voxels = batch.tensor("images").data<float>();
        const std::size_t size = std::size_t(patch * patch * patch);
        in_parallel(std::size_t(batch.size()), [&](std::size_t index) {
            predict_patch(network, benches[index], voxels + index * size, probabilities.data() + index * 2 * size);
        });
        volumes.add(batch, {probabilities.data(), {std::int64_t(batch.size()), 2, patch, patch, patch}});
        done += batch.size();
        bar.show(double(done) / double(patches.size()), state());
    }
    bar.done(state());
    std::uint64_t subject = 0;
    while (volumes.next_complete(subject) == VXF_STATUS_OK) {
        volumes.save(subject, path);
    }
}

} // namespace brain

#endif
