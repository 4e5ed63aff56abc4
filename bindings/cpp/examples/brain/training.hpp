// Random patches in, a trained network out.
#ifndef BRAIN_TRAINING_HPP
#define BRAIN_TRAINING_HPP

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <voxfeed.hpp>

#include "classifier.hpp"
#include "context.hpp"
#include "progress.hpp"

namespace brain {

constexpr std::int64_t patch = 64;
constexpr std::uint32_t batch_size = 8;

/// Each head has its own scale of grey, so its own mean and deviation are taken out; all atlas regions are brain.
constexpr const char *preparation = R"([
    {"name": "zscore", "category": "images", "statistics": "subject", "voxels": "nonzero"},
    {"name": "lookup", "category": "labels", "map": {"0": 0}, "default": 1}])";

/// The categories that the network needs, T1 as float.
inline voxfeed::category images() {
    voxfeed::category t1("images");
    t1.dtype = voxfeed::dtype::f32;
    return t1;
}

/// Does work(index) for each index below count, on all cores.
template <class Work> void in_parallel(std::size_t count, const Work &work) {
    std::atomic<std::size_t> next{0};
    const auto take = [&] {
        for (std::size_t index = next++; index < count; index = next++) {
            work(index);
        }
    };
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < std::min(cores, count); ++i) {
        others.emplace_back(take);
    }
    take();
    for (std::thread &other : others) {
        other.join();
    }
}

/// What one row of a batch is worked on with; one for each, so that sums do not depend on the number of threads.
struct bench {
    context seen{{patch, patch, patch}};
    classifier::run run{std::size_t(patch)};
};

/// What training was like.
struct training_report {
    double seconds = 0.0;
    double loss = 0.0;
    vxf_loader_stats stats{};
};

/// Learns from so many rows of voxels of each patch, at random places.
inline double learn(classifier &network, std::vector<bench> &benches, const voxfeed::batch &batch, std::uint32_t seed,
                    float rate) {
    constexpr int rows_of_patch = 64;
    const float *voxels = batch.tensor("images").data<float>();
    const std::uint8_t *truth = batch.tensor("labels").data<std::uint8_t>();
    const std::size_t count = std::size_t(batch.size());
    in_parallel(count, [&](std::size_t index) {
        bench &at = benches[index];
        const std::size_t first = index * std::size_t(patch * patch * patch);
        std::mt19937 random(seed * batch_size + std::uint32_t(index));
        at.seen.look(voxels + first);
        at.run.gradient = {};
        at.run.loss = 0.0;
        for (int i = 0; i < rows_of_patch; ++i) {
            const std::int64_t depth = random() % patch, height = random() % patch;
            // Left and right are alike, and the held-out half is the other one.
            const bool mirrored = random() % 2 == 0;
            at.run.learn(network.weights(), at.seen.rows(depth, height, mirrored),
                         truth + first + (depth * patch + height) * patch);
        }
    });
    classifier::parameters gradient{};
    double loss = 0.0;
    for (std::size_t index = 0; index < count; ++index) {
        gradient += benches[index].run.gradient;
        loss += benches[index].run.loss;
    }
    const double learned = double(count) * rows_of_patch * double(patch);
    network.step(gradient, learned, rate);
    return loss / learned;
}

/// Trains on random patches of a dataset.
inline training_report train(classifier &network, const voxfeed::dataset &data) {
    constexpr std::uint64_t epochs = 4;
    voxfeed::sampler patches(data, voxfeed::uniform({patch, patch, patch}, 2000 / data.size()));
    voxfeed::transform prepare(preparation);
    voxfeed::loader_options options;
    options.batch_size = batch_size;
    options.order = voxfeed::order::shuffled;
    options.seed = 1;
    options.transform = &prepare;
    options.categories = {images(), "labels"};
    voxfeed::loader loader(patches, options);

    std::vector<bench> benches(batch_size);
    const double steps = double(epochs * loader.size());
    std::uint32_t step = 0;
    training_report report;
    progress bar("train");
    const auto state = [&] {
        return words("loss %.3f, %.0f patches/s, waits for data %.1f %% of the time", report.loss,
                     double(report.stats.samples) / report.seconds, double(report.stats.wait_ns) * 1e-7 / report.seconds);
    };
    const stopwatch watch;
    for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
        for (const voxfeed::batch &batch : loader.epoch(epoch)) {
            // Up over the first steps, then down to nothing along a half cosine.
            const double share = step / steps;
            const double rate = 0.01 * std::min(1.0, (step + 1) / 20.0) * (0.5 + 0.5 * std::cos(share * 3.14159265));
            const double loss = learn(network, benches, batch, step, float(rate));
            report.loss += (loss - report.loss) / std::min(50.0, step + 1.0);
            report.stats = loader.stats();
            report.seconds = watch.seconds();
            bar.show(++step / steps, state());
        }
    }
    bar.done(state());
    return report;
}

} // namespace brain

#endif
