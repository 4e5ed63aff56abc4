// A small network that says of each voxel how likely it is brain, trained by Adam.
#ifndef BRAIN_CLASSIFIER_HPP
#define BRAIN_CLASSIFIER_HPP

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "context.hpp"

namespace brain {

/// The width of rows is a multiple of this.
constexpr std::size_t tile = 16;

/// One fully connected layer, applied to a row of voxels at a time: that is what the compiler makes vectors of.
template <std::size_t inputs, std::size_t outputs> struct layer {
    std::array<float, (inputs + 1) * outputs> weights{};

    float &weight(std::size_t output, std::size_t input) { return weights[output * (inputs + 1) + input]; }
    float weight(std::size_t output, std::size_t input) const { return weights[output * (inputs + 1) + input]; }

    void start(std::mt19937 &random) {
        std::normal_distribution<float> normal(0.0F, std::sqrt(2.0F / float(inputs)));
        for (std::size_t output = 0; output < outputs; ++output) {
            for (std::size_t input = 0; input < inputs; ++input) {
                weight(output, input) = normal(random);
            }
        }
    }

    template <class Rows> void forward(const Rows &from, float *to, std::size_t width) const {
        // Few outputs and voxels at a time, so that their sums stay in registers.
        constexpr std::size_t together = outputs % 4 == 0 ? 4 : 1;
        for (std::size_t x = 0; x < width; x += tile) {
            for (std::size_t output = 0; output < outputs; output += together) {
                float sums[together][tile];
                for (std::size_t o = 0; o < together; ++o) {
                    std::fill(sums[o], sums[o] + tile, weight(output + o, inputs));
                }
                for (std::size_t input = 0; input < inputs; ++input) {
                    const float *values = from[input] + x;
                    for (std::size_t o = 0; o < together; ++o) {
                        const float factor = weight(output + o, input);
                        for (std::size_t i = 0; i < tile; ++i) {
                            sums[o][i] += factor * values[i];
                        }
                    }
                }
                for (std::size_t o = 0; o < together; ++o) {
                    std::copy(sums[o], sums[o] + tile, to + (output + o) * width + x);
                }
            }
        }
    }

    /// Adds to the gradient of the weights, and writes that of the inputs unless it is not asked for.
    template <class Rows>
    void backward(const Rows &from, const float *slope, layer &gradient, float *slope_of_inputs, std::size_t width) const {
        if (slope_of_inputs != nullptr) {
            std::fill(slope_of_inputs, slope_of_inputs + inputs * width, 0.0F);
        }
        for (std::size_t output = 0; output < outputs; ++output) {
            const float *row = slope + output * width;
            for (std::size_t x = 0; x < width; ++x) {
                gradient.weight(output, inputs) += row[x];
            }
            for (std::size_t input = 0; input < inputs; ++input) {
                gradient.weight(output, input) += product(row, from[input], width);
                if (slope_of_inputs != nullptr) {
                    const float factor = weight(output, input);
                    float *back = slope_of_inputs + input * width;
                    for (std::size_t x = 0; x < width; ++x) {
                        back[x] += factor * row[x];
                    }
                }
            }
        }
    }

  private:
    static float product(const float *a, const float *b, std::size_t width) {
        // Side by side sums, because a compiler may not reorder one sum into vectors by itself.
        float sums[tile] = {};
        for (std::size_t x = 0; x < width; x += tile) {
            for (std::size_t i = 0; i < tile; ++i) {
                sums[i] += a[x + i] * b[x + i];
            }
        }
        return std::accumulate(sums, sums + tile, 0.0F);
    }
};

/// The network: context, two hidden layers, one number.
class classifier {
  public:
    static constexpr std::size_t wide = 32;
    static constexpr std::size_t narrow = 16;

    /// The weights, and in the same shape their gradients and moments.
    struct parameters {
        layer<context::count, wide> first;
        layer<wide, narrow> second;
        layer<narrow, 1> last;

        parameters &operator+=(parameters &other) {
            parameters none{}, nothing{};
            together(*this, other, none, nothing, [](float &sum, float value, float, float) { sum += value; });
            return *this;
        }

        /// Does something with the weights of several parameter sets at once.
        template <class Each> static void together(parameters &a, parameters &b, parameters &c, parameters &d, Each each) {
            apply(a.first.weights, b.first.weights, c.first.weights, d.first.weights, each);
            apply(a.second.weights, b.second.weights, c.second.weights, d.second.weights, each);
            apply(a.last.weights, b.last.weights, c.last.weights, d.last.weights, each);
        }

      private:
        template <class Weights, class Each> static void apply(Weights &a, Weights &b, Weights &c, Weights &d, Each each) {
            for (std::size_t i = 0; i < a.size(); ++i) {
                each(a[i], b[i], c[i], d[i]);
            }
        }
    };

    /// What one thread needs to run the network on rows of one width.
    class run {
      public:
        explicit run(std::size_t width)
            : width_(width), first_(wide * width), second_(narrow * width), last_(width), slope_(wide * width),
              slope_of_second_(narrow * width) {}

        parameters gradient{};
        double loss = 0.0;

        /// The probability that each voxel of a row is brain.
        const float *predict(const parameters &weights, const std::array<const float *, context::count> &rows) {
            weights.first.forward(rows, first_.data(), width_);
            for (float &value : first_) {
                value = std::max(value, 0.0F);
            }
            weights.second.forward(pointers<wide>(first_), second_.data(), width_);
            for (float &value : second_) {
                value = std::max(value, 0.0F);
            }
            weights.last.forward(pointers<narrow>(second_), last_.data(), width_);
            for (float &value : last_) {
                value = 1.0F / (1.0F + std::exp(-value));
            }
            return last_.data();
        }

        /// Adds one row to loss and gradient; truth is 1 for brain, 0 for the rest.
        void learn(const parameters &weights, const std::array<const float *, context::count> &rows, const std::uint8_t *truth) {
            predict(weights, rows);
            for (std::size_t x = 0; x < width_; ++x) {
                const float target = float(truth[x]);
                loss -= std::log(std::max(target > 0.5F ? last_[x] : 1.0F - last_[x], 1e-7F));
                last_[x] -= target;
            }
            weights.last.backward(pointers<narrow>(second_), last_.data(), gradient.last, slope_of_second_.data(), width_);
            stop_where_zero(second_, slope_of_second_);
            weights.second.backward(pointers<wide>(first_), slope_of_second_.data(), gradient.second, slope_.data(), width_);
            stop_where_zero(first_, slope_);
            weights.first.backward(rows, slope_.data(), gradient.first, nullptr, width_);
        }

      private:
        template <std::size_t count> std::array<const float *, count> pointers(const std::vector<float> &rows) const {
            std::array<const float *, count> at;
            for (std::size_t i = 0; i < count; ++i) {
                at[i] = rows.data() + i * width_;
            }
            return at;
        }

        static void stop_where_zero(const std::vector<float> &values, std::vector<float> &slope) {
            for (std::size_t i = 0; i < values.size(); ++i) {
                slope[i] = values[i] > 0.0F ? slope[i] : 0.0F;
            }
        }

        std::size_t width_;
        std::vector<float> first_, second_, last_, slope_, slope_of_second_;
    };

    explicit classifier(std::uint32_t seed) {
        std::mt19937 random(seed);
        weights_.first.start(random);
        weights_.second.start(random);
        weights_.last.start(random);
    }

    const parameters &weights() const { return weights_; }

    /// One step of Adam along the summed gradient of so many voxels.
    void step(parameters &gradient, double voxels, float rate) {
        ++steps_;
        const float scale = float(1.0 / voxels);
        const float first_share = 1.0F - std::pow(0.9F, float(steps_));
        const float second_share = 1.0F - std::pow(0.99F, float(steps_));
        parameters::together(weights_, gradient, mean_, square_, [=](float &weight, float slope, float &mean, float &square) {
            slope *= scale;
            mean += 0.1F * (slope - mean);
            square += 0.01F * (slope * slope - square);
            weight -= rate * (mean / first_share) / (std::sqrt(square / second_share) + 1e-8F);
        });
    }

  private:
    parameters weights_, mean_{}, square_{};
    int steps_ = 0;
};

} // namespace brain

#endif
