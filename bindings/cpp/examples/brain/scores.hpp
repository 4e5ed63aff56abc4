// How good a guess is, and how good one without a network would be.
#ifndef BRAIN_SCORES_HPP
#define BRAIN_SCORES_HPP

#include <array>
#include <cstdint>
#include <vector>

namespace brain {

/// Twice what two sets share, over what they have together: 1 where they are equal.
inline double dice(double shared, double first, double second) { return 2.0 * shared / (first + second); }

/// The Dice of two masks, whatever is not 0 being in.
inline double dice(const std::vector<std::uint8_t> &guess, const std::vector<std::uint8_t> &truth) {
    double shared = 0.0, guessed = 0.0, real = 0.0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        guessed += guess[i] != 0;
        real += truth[i] != 0;
        shared += guess[i] != 0 && truth[i] != 0;
    }
    return dice(shared, guessed, real);
}

/// How many voxels of each grey value there are, of the rest and of the brain.
class grey_values {
  public:
    grey_values(const std::vector<std::uint8_t> &t1, const std::vector<std::uint8_t> &truth) {
        for (std::size_t i = 0; i < t1.size(); ++i) {
            counts_[truth[i] != 0][t1[i]] += 1.0;
        }
    }

    /// The Dice of calling everything brain that is as bright as low to high.
    double dice_of_window(int low, int high) const {
        double shared = 0.0, guessed = 0.0, real = 0.0;
        for (int grey = 0; grey < 256; ++grey) {
            const double brain = counts_[1][std::size_t(grey)];
            const bool in = grey >= low && grey <= high;
            real += brain;
            shared += in ? brain : 0.0;
            guessed += in ? brain + counts_[0][std::size_t(grey)] : 0.0;
        }
        return dice(shared, guessed, real);
    }

    /// The window with the best Dice.
    std::array<int, 2> best_window() const {
        std::array<int, 2> best{0, 255};
        double most = -1.0;
        for (int low = 0; low < 256; ++low) {
            for (int high = low; high < 256; ++high) {
                const double score = dice_of_window(low, high);
                if (score > most) {
                    most = score;
                    best = {low, high};
                }
            }
        }
        return best;
    }

  private:
    std::array<std::array<double, 256>, 2> counts_{};
};

} // namespace brain

#endif
