function ranges = in_row(sample)
    % ranges = voxfeed.in_row(sample): where the valid voxels lie in the region, the rest being padding:
    % row(ranges{:}).

    % SPDX-License-Identifier: MIT OR Apache-2.0
    first = sample.valid_offset;
    ranges = arrayfun(@(from, count) from + (1:count), first, sample.valid_shape, 'UniformOutput', false);
end
