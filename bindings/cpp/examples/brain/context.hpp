// What a voxel sees: the intensities around it at four scales, from one voxel to the size of a fist.
#ifndef BRAIN_CONTEXT_HPP
#define BRAIN_CONTEXT_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace brain {

/// The extents of a patch, slowest axis first.
using patch_shape = std::array<std::int64_t, 3>;

/// A patch blurred at several scales, so that a row of features is a row of memory and nothing is copied.
class context {
  public:
    /// The radii of the boxes, in voxels, that a patch is blurred with.
    static constexpr std::array<int, 4> radii{0, 1, 3, 7};

    /// Boxes around a voxel: in six directions at a distance in voxels, and where it says so the voxel's own.
    struct ring {
        int level;
        int distance;
        bool centre;
    };
    static constexpr std::array<ring, 7> rings{
        {{0, 1, true}, {1, 3, false}, {1, 6, false}, {2, 7, true}, {2, 14, false}, {3, 15, true}, {3, 25, false}}};

    /// A feature: which level, and from where.
    struct feature {
        int level;
        int depth, height, width;
    };
    static constexpr std::size_t count = 7 + 6 + 6 + 7 + 6 + 7 + 6;

    /// Room for patches of this shape.
    explicit context(const patch_shape &shape) : shape_(shape), pitch_(shape[2] + 2 * margin) {
        for (std::vector<float> &level : levels_) {
            level.resize(std::size_t(shape[0] * shape[1] * pitch_));
        }
        std::size_t next = 0;
        for (const ring &around : rings) {
            if (around.centre) {
                features_[next++] = {around.level, 0, 0, 0};
            }
            for (int far : {-around.distance, around.distance}) {
                features_[next++] = {around.level, far, 0, 0};
                features_[next++] = {around.level, 0, far, 0};
                features_[next++] = {around.level, 0, 0, far};
            }
        }
    }

    /// Looks at a dense patch. What lies outside it is taken to be like its border.
    void look(const float *patch) {
        for (std::int64_t row = 0; row < shape_[0] * shape_[1]; ++row) {
            std::copy(patch + row * shape_[2], patch + (row + 1) * shape_[2], inner(levels_[0], row));
        }
        for (std::size_t at = 1; at < radii.size(); ++at) {
            // A box of a box: what is blurred already needs the rest of the radius only.
            levels_[at] = levels_[at - 1];
            blur(levels_[at], radii[at] - radii[at - 1]);
        }
        for (std::vector<float> &level : levels_) {
            for (std::int64_t row = 0; row < shape_[0] * shape_[1]; ++row) {
                float *first = inner(level, row);
                std::fill(first - margin, first, first[0]);
                std::fill(first + shape_[2], first + shape_[2] + margin, first[shape_[2] - 1]);
            }
        }
    }

    /// The rows of all features for the voxels (depth, height, all widths); mirrored swaps left and right.
    std::array<const float *, count> rows(std::int64_t depth, std::int64_t height, bool mirrored) const {
        std::array<const float *, count> at;
        for (std::size_t i = 0; i < count; ++i) {
            const feature &seen = features_[i];
            const std::int64_t z = std::clamp<std::int64_t>(depth + seen.depth, 0, shape_[0] - 1);
            const std::int64_t y = std::clamp<std::int64_t>(height + seen.height, 0, shape_[1] - 1);
            at[i] = levels_[std::size_t(seen.level)].data() + (z * shape_[1] + y) * pitch_ + margin +
                    (mirrored ? -seen.width : seen.width);
        }
        return at;
    }

    /// The extents of the patches.
    const patch_shape &shape() const { return shape_; }

  private:
    static constexpr std::int64_t margin = 25;

    float *inner(std::vector<float> &level, std::int64_t row) const { return level.data() + row * pitch_ + margin; }

    void blur(std::vector<float> &level, int radius) {
        for (std::int64_t z = 0; z < shape_[0]; ++z) {
            for (std::int64_t y = 0; y < shape_[1]; ++y) {
                blur_along(inner(level, z * shape_[1] + y), shape_[2], 1, 1, radius);
            }
            blur_along(inner(level, z * shape_[1]), shape_[1], pitch_, shape_[2], radius);
        }
        for (std::int64_t y = 0; y < shape_[1]; ++y) {
            blur_along(inner(level, y), shape_[0], shape_[1] * pitch_, shape_[2], radius);
        }
    }

    /// The mean of 2 * radius + 1 neighbours, by differences of running sums, for `width` lines side by side.
    void blur_along(float *first, std::int64_t length, std::int64_t stride, std::int64_t width, int radius) {
        sums_.assign(std::size_t((length + 1) * width), 0.0F);
        for (std::int64_t i = 0; i < length; ++i) {
            const float *from = first + i * stride;
            const float *before = sums_.data() + i * width;
            float *after = sums_.data() + (i + 1) * width;
            for (std::int64_t x = 0; x < width; ++x) {
                after[x] = before[x] + from[x];
            }
        }
        for (std::int64_t i = 0; i < length; ++i) {
            const std::int64_t from = std::max<std::int64_t>(i - radius, 0);
            const std::int64_t to = std::min<std::int64_t>(i + radius + 1, length);
            const float share = 1.0F / float(to - from);
            const float *low = sums_.data() + from * width;
            const float *high = sums_.data() + to * width;
            for (std::int64_t x = 0; x < width; ++x) {
                first[i * stride + x] = (high[x] - low[x]) * share;
            }
        }
    }

    patch_shape shape_;
    std::int64_t pitch_;
    std::array<std::vector<float>, radii.size()> levels_;
    std::array<feature, count> features_{};
    std::vector<float> sums_;
};

} // namespace brain

#endif
