function montage(file, volumes, varargin)
    % voxfeed.montage(file, volumes, ...): saves a PNG of volumes side by side, and several slices below each other.
    %
    % volumes: an array, a struct, or a cell of these. An array is (width, height, depth), or has the channel behind;
    % a struct has the volume, and where wanted title, look ('auto': labels for integers of at most 64 different values
    % and none below 0, else grey; 'grey'; 'labels': in colour over the first grey column) and channel (that is drawn,
    % from 1).
    % Options: axis (that is cut across; 1 is the fastest, the slowest by default), slices (6), tile_pixels (of a
    % slice's longer side; 240), affine (4x4: with it superior, else anterior is up), ndim (how many axes every volume
    % has, where last ones of 1 were dropped).

    % SPDX-License-Identifier: MIT OR Apache-2.0
    options = voxfeed.internal.given(varargin);
    ndim = 0;
    if isfield(options, 'ndim')
        if ~isempty(options.ndim)
            ndim = options.ndim;
        end
        options = rmfield(options, 'ndim');
    end
    volumes = voxfeed.internal.plain(volumes);
    if isstruct(volumes)
        volumes = num2cell(volumes);
    elseif ~iscell(volumes)
        volumes = {volumes};
    end
    voxfeed.internal.call('montage_save', file, volumes, options, ndim);
end
