function save_volume(file, array, varargin)
    % voxfeed.save_volume(file, array, ...): saves one volume: .nii, .nii.gz, .npy or .h5 by the name.
    %
    % The array is (width, height, depth) or less, or (width, height, depth, channel).
    % Options: affine (4x4, as voxfeed.Dataset says), ndim (how many axes it has, where last ones of 1 were dropped).
    % The file gets its name when all is written: an existing one is then replaced as a whole, and is untouched where
    % that fails.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    voxfeed.internal.call('volume_save', file, array, voxfeed.internal.given(varargin));
end
