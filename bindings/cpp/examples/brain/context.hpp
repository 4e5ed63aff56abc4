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
    explicit context(const patch_shape &shape) : shape_(shape) {
        for (const ring &around : rings) {
            std::int64_t &margin = margins_[std::size_t(around.level)];
            margin = std::max<std::int64_t>(margin, around.distance);
        }
        for (std::size_t at = 0; at < radii.size(); ++at) {
            levels_[at].resize(std::size_t(shape[0] * shape[1] * pitch(at)));
        }
        for (std::size_t i = 1; i < shares_.size(); ++i) {
            shares_[i] = 1.0F / float(i);
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
        const std::int64_t rows = shape_[0] * shape_[1];
        for (std::int64_t row = 0; row < rows; ++row) {
            std::copy(patch + row * shape_[2], patch + (row + 1) * shape_[2], inner(0, row));
        }
        for (std::size_t at = 1; at < radii.size(); ++at) {
            // A box of a box: what is blurred already needs the rest of the radius only.
            blur(at, radii[at] - radii[at - 1]);
        }
        for (std::size_t at = 0; at < radii.size(); ++at) {
            for (std::int64_t row = 0; row < rows; ++row) {
                float *first = inner(at, row);
                float *end = first + shape_[2];
                std::fill(first - margins_[at], first, first[0]);
                std::fill(end, end + margins_[at], end[-1]);
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
            at[i] = inner(std::size_t(seen.level), z * shape_[1] + y) + (mirrored ? -seen.width : seen.width);
        }
        return at;
    }

    /// The extents of the patches.
    const patch_shape &shape() const { return shape_; }

  private:
    /// The floats from one row of a level to the next: a margin on both sides holds what features reach for.
    std::int64_t pitch(std::size_t at) const { return shape_[2] + 2 * margins_[at]; }

    float *inner(std::size_t at, std::int64_t row) { return levels_[at].data() + row * pitch(at) + margins_[at]; }
    const float *inner(std::size_t at, std::int64_t row) const {
        return levels_[at].data() + row * pitch(at) + margins_[at];
    }

    /// Fills a level with the one before it, blurred.
    void blur(std::size_t at, int radius) {
        for (std::int64_t z = 0; z < shape_[0]; ++z) {
            for (std::int64_t y = 0; y < shape_[1]; ++y) {
                blur_row(inner(at - 1, z * shape_[1] + y), inner(at, z * shape_[1] + y), radius);
            }
            blur_along(inner(at, z * shape_[1]), shape_[1], pitch(at), radius);
        }
        for (std::int64_t y = 0; y < shape_[1]; ++y) {
            blur_along(inner(at, y), shape_[0], shape_[1] * pitch(at), radius);
        }
    }

    /// The mean of 2 * radius + 1 neighbours in a row, fewer at its ends, by differences of running sums.
    void blur_row(const float *row, float *to, int radius) {
        const std::int64_t length = shape_[2];
        sums_.resize(std::size_t(length) + 1);
        float *sums = sums_.data();
        sums[0] = 0.0F;
        for (std::int64_t x = 0; x < length; ++x) {
            sums[x + 1] = sums[x] + row[x];
        }
        for (std::int64_t x = 0; x < length; ++x) {
            const std::int64_t low = std::max<std::int64_t>(x - radius, 0);
            const std::int64_t high = std::min<std::int64_t>(x + radius + 1, length);
            to[x] = (sums[high] - sums[low]) * shares_[std::size_t(high - low)];
        }
    }

    /// The same across rows, for all voxels of a row side by side.
    void blur_along(float *first, std::int64_t length, std::int64_t stride, int radius) {
        const std::int64_t width = shape_[2];
        sums_.resize(std::size_t((length + 1) * width));
        std::fill(sums_.begin(), sums_.begin() + width, 0.0F);
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
            const float share = shares_[std::size_t(to - from)];
            const float *low = sums_.data() + from * width;
            const float *high = sums_.data() + to * width;
            for (std::int64_t x = 0; x < width; ++x) {
                first[i * stride + x] = (high[x] - low[x]) * share;
            }
        }
    }

    patch_shape shape_;
    std::array<std::int64_t, radii.size()> margins_{};
    std::array<std::vector<float>, radii.size()> levels_;
    std::array<feature, count> features_{};
    std::array<float, 2 * radii.back() + 2> shares_{};
    std::vector<float> sums_;
};

} // namespace brain

#endif
