// Which voxels of a head are brain? Volumes in, a network trained on one half of the head, the other half predicted,
// a picture and a score out.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <voxfeed.hpp>

#include "classifier.hpp"
#include "halves.hpp"
#include "prediction.hpp"
#include "progress.hpp"
#include "scores.hpp"
#include "training.hpp"

namespace {

using voxels = std::vector<std::uint8_t>;

voxels read(const voxfeed::dataset &data, const char *category, const voxfeed::extents &shape) {
    voxels volume(std::size_t(shape[0] * shape[1] * shape[2]));
    data.read(0, category, "", {volume.data(), shape});
    return volume;
}

void draw(const std::string &path, const voxels &t1, const voxels &truth, const voxels &guess,
          const voxfeed::volume_info &info) {
    voxels real(truth.size()), wrong(truth.size());
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        real[i] = truth[i] != 0;
        wrong[i] = truth[i] != 0 && guess[i] == 0 ? 1 : truth[i] == 0 && guess[i] != 0 ? 2 : 0;
    }
    const auto labels = voxfeed::look::labels;
    voxfeed::montage_options options;
    options.axis = 2;
    options.slices = 5;
    options.affine = info.affine.data();
    voxfeed::save_montage(path,
                          {{{t1.data(), info.shape}, "input", voxfeed::look::grey},
                           {{real.data(), info.shape}, "truth", labels},
                           {{guess.data(), info.shape}, "prediction", labels},
                           {{wrong.data(), info.shape}, "missed / too much", labels}},
                          options);
}

void run(const std::string &templates, const std::string &output) {
    const std::string dataset_path = output + "/brain.h5";
    const std::string prediction_path = output + "/prediction.nii.gz";
    const std::string picture_path = output + "/montage.png";

    std::printf("\nWhich voxels of a head are brain? voxfeed %s\n\n", voxfeed::version().c_str());
    brain::write_halves(brain::read_head(templates), dataset_path);
    voxfeed::dataset halves(dataset_path);
    const voxfeed::dataset left = halves.subset({halves.find("left")});
    const voxfeed::dataset right = halves.subset({halves.find("right")});
    const voxfeed::volume_info info = right.info(0, "images");
    const voxfeed::extents &shape = info.shape;
    std::printf("  data     one head, T1 with its skull, as two subjects of %d x %d x %d voxels\n", int(shape[2]),
                int(shape[1]), int(shape[0]));
    std::printf("           trained on the left half; the right half is held out, no step reads it\n");

    brain::classifier network(1);
    const brain::training_report training = brain::train(network, left);
    brain::predict(network, right, prediction_path);

    // Read back from the file: what is scored is what was saved, and it must lie on the grid of the truth.
    voxfeed::dataset saved;
    saved.add_subject("right");
    saved.add_file(0, "predictions", "brain", prediction_path);
    const voxels guess = read(saved, "predictions", shape);
    const voxels truth = read(right, "labels", shape);
    const voxels t1 = read(right, "images", shape);
    draw(picture_path, t1, truth, guess, info);

    const brain::grey_values known(read(left, "images", shape), read(left, "labels", shape));
    const brain::grey_values held_out(t1, truth);
    const std::array<int, 2> window = known.best_window();
    std::printf("\n  Dice on the %.1f million voxels of the held-out half\n", double(truth.size()) * 1e-6);
    std::printf("    everything is brain                            %.3f\n", held_out.dice_of_window(0, 255));
    std::printf("    the best grey values, %3d to %3d on the left   %.3f\n", window[0], window[1],
                held_out.dice_of_window(window[0], window[1]));
    std::printf("    this network, intensities as its only input    %.3f\n", brain::dice(guess, truth));
    std::printf("\n  Training took %.1f s: %.0f patches/s, %.0f MB/s, %.1f %% of it waiting for data\n", training.seconds,
                double(training.stats.samples) / training.seconds,
                double(training.stats.bytes) * 1e-6 / training.seconds,
                double(training.stats.wait_ns) * 1e-7 / training.seconds);
    std::printf("\n  %s\n  %s\n  %s\n", dataset_path.c_str(), prediction_path.c_str(), picture_path.c_str());
}

} // namespace

int main(int count, char **arguments) {
    if (count != 3) {
        std::fprintf(stderr, "brain TEMPLATES_DIR OUTPUT_DIR\n\n"
                             "TEMPLATES_DIR has ch2.nii.gz, ch2bet.nii.gz and aal.nii.gz, as in Debian's package\n"
                             "mricron-data: apt-get download mricron-data && dpkg -x mricron-data_*.deb DIR, then\n"
                             "DIR/usr/share/mricron/templates. OUTPUT_DIR exists.\n");
        return 2;
    }
    try {
        run(arguments[1], arguments[2]);
    } catch (const voxfeed::error &why) {
        std::fprintf(stderr, "\nbrain: %s\n", why.what());
        if (why.status() == VXF_STATUS_ERR_NOT_FOUND) {
            std::fprintf(stderr, "brain: give the templates of MRIcron (Debian: mricron-data) and a folder that exists\n");
        }
        return 1;
    } catch (const std::exception &why) {
        std::fprintf(stderr, "\nbrain: %s\n", why.what());
        return 1;
    }
    return 0;
}
