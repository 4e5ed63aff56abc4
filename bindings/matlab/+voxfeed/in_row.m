function ranges = in_row(sample, thin_axis)
    % ranges = voxfeed.in_row(sample, thin_axis): where the valid voxels lie in a row, the rest being padding:
    % images(ranges{:}, channel, row).
    %
    % thin_axis is the loader's option: with 'drop', the default there and here, slices have no axis of one voxel, and
    % so no range for it; with 'keep' they have.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if nargin < 2
        thin_axis = 'drop';
    end
    if ~any(strcmp(thin_axis, {'drop', 'keep'}))
        error('voxfeed:argument', 'thin_axis is %s, expected ''drop'' or ''keep''', voxfeed.internal.shown(thin_axis));
    end
    first = sample.valid_offset;
    ranges = arrayfun(@(from, count) from + (1:count), first, sample.valid_shape, 'UniformOutput', false);
    if strcmp(thin_axis, 'drop') && sample.thin_axis > 0
        ranges(sample.thin_axis) = [];
    end
end
