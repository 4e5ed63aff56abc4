function ranges = in_volume(sample)
    % ranges = voxfeed.in_volume(sample): where a row's valid voxels lie in the volume:
    % volume(ranges{:}), or volume(ranges{:}, channel) where it has several.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    first = sample.offset + sample.valid_offset;
    ranges = arrayfun(@(from, count) from + (1:count), first, sample.valid_shape, 'UniformOutput', false);
end
