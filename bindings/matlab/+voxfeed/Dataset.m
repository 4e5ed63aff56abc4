classdef Dataset < voxfeed.internal.Handle
    % The ordered subjects of a study, each with categories ('images') of entries ('T1'), which are volumes.
    %
    %   dataset = voxfeed.Dataset(path)                   opens a file or a folder, its format told by its content
    %   dataset = voxfeed.Dataset()                       is empty, for add_subject, add_file and add_array
    %   dataset = voxfeed.Dataset(path, 'orient', 'RAS')  with options; path is [] for an empty one
    %
    % Only headers are read until voxels are asked for.
    % Options: io ('auto', 'positional', 'map'), geometry ('strict', 'shape'), cache_bytes (of decoded volumes and
    % chunks; 0, the default, is 2 GiB), orient ('RAS', 'LPS', ...: fastest axis first; as stored by default),
    % seek_index ('auto', 'never', 'always': which deflated volumes are inflated slab by slab), index_place ('auto',
    % 'beside'), index_folder (where their indexes are kept).
    %
    % Axes are listed fastest first: (width, height, depth, channel), as niftiread and nibabel do. Subjects are given
    % by number, from 1, or by id. An affine is 4x4 and maps (i, j, k, 1), the voxels before it along each axis from
    % 0, to millimetres RAS+: what nibabel shows.
    %
    % An array of four axes in a file has a channel axis, unless the file says something else: the fastest one in
    % HDF5, the slowest in .npy, .npz, .b2nd and Zarr; volume_info tells what was found. Here the channel is always
    % the last axis.
    %
    % Errors: voxfeed:not_found, voxfeed:io, voxfeed:format, voxfeed:unsupported, voxfeed:argument; the message names
    % the file.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Dataset(path, varargin)
            if nargin < 1
                path = [];
            end
            if isa(path, 'uint64') && nargin == 1
                % What split and subset give.
                voxfeed.internal.call('dataset_length', path);
                o.number = path;
            else
                o.number = voxfeed.internal.call('dataset_new', path, voxfeed.internal.given(varargin));
            end
        end

        function number = add_subject(o, id)
            % number = add_subject(id): adds a subject without volumes; its number, from 1.
            number = voxfeed.internal.call('dataset_add_subject', o.own_number(), id);
        end

        function add_file(o, subject, category, entry, file, varargin)
            % add_file(subject, category, entry, file, ...): adds a file's volume to a subject; no voxel is read.
            %
            % Options: channel (which axis of the file's array it is: 'auto', 'none', 'first', the slowest, 'last',
            % the fastest), inner (the dataset of an HDF5 file, the array of a Zarr group, the member of an .npz, the
            % level of a slide such as '2'; by default the only one or the largest).
            voxfeed.internal.call('dataset_add_file', o.own_number(), subject, category, entry, file, ...
                voxfeed.internal.given(varargin));
        end

        function add_array(o, subject, category, entry, array, varargin)
            % add_array(subject, category, entry, array, ...): adds a copy of an array to a subject.
            %
            % The array is (width), (width, height), (width, height, depth) or (width, height, depth, channel), of any
            % class of numbers, or logical.
            % Options: affine (4x4), ndim (how many axes it has, where last ones of 1 were dropped: 3 for a single
            % slice, 4 for a single channel).
            voxfeed.internal.call('dataset_add_array', o.own_number(), subject, category, entry, array, ...
                voxfeed.internal.given(varargin));
        end

        function is_whole = preload(o, varargin)
            % is_whole = preload(...): decodes all chunks and compressed volumes into the cache ahead of time.
            %
            % Options: threads (0, the default, is one a core), progress (a function that is called as progress(done,
            % total) now and then; where it gives true, decoding stops, and is_whole is false).
            % Errors: voxfeed:limit, before anything is decoded, where cache_bytes is too small; what progress raises.
            options = voxfeed.internal.filled('preload', struct('threads', 0, 'progress', []), varargin);
            progress = voxfeed.internal.progress_of(options.progress);
            job = voxfeed.internal.call('dataset_preload', o.own_number(), options.threads, ~isempty(progress));
            is_whole = voxfeed.internal.work(job, progress);
        end

        function evict(o)
            % evict(): lets the decoded bytes go that nobody reads at the moment.
            voxfeed.internal.call('dataset_evict', o.own_number());
        end

        function set_attribute(o, subject, name, value)
            % set_attribute(subject, name, value): sets an attribute to what JSON can say: a number, text, a list, a
            % struct.
            text = voxfeed.internal.json(value, 'an attribute');
            voxfeed.internal.call('dataset_set_attribute', o.own_number(), subject, name, text);
        end

        function value = attribute(o, subject, name)
            % value = attribute(subject, name): an attribute, as jsondecode gives it; voxfeed:not_found where there is
            % none.
            value = jsondecode(voxfeed.internal.call('dataset_attribute', o.own_number(), subject, name));
        end

        function given = attributes(o, subject)
            % given = attributes(subject): all attributes, as structs with the fields name and value.
            given = voxfeed.internal.call('dataset_attributes', o.own_number(), subject);
            for at = 1:numel(given)
                given(at).value = jsondecode(given(at).value);
            end
        end

        function set_split(o, name, subjects)
            % set_split(name, subjects): names a subset, of numbers or a cell of ids; an old one of this name is
            % replaced.
            voxfeed.internal.call('dataset_set_split', o.own_number(), name, subjects);
        end

        function given = splits(o)
            % given = splits(): the splits, as structs with the fields name and subjects, a cell of ids.
            given = voxfeed.internal.call('dataset_splits', o.own_number());
        end

        function made = split(o, name)
            % made = split(name): a dataset of the subjects of one split; voxfeed:not_found lists those that there
            % are.
            made = voxfeed.Dataset(voxfeed.internal.call('dataset_split', o.own_number(), name));
        end

        function made = subset(o, subjects)
            % made = subset(subjects): a dataset of these subjects, numbers or a cell of ids, in this order.
            made = voxfeed.Dataset(voxfeed.internal.call('dataset_subset', o.own_number(), subjects));
        end

        function count = length(o)
            % count = length(): the number of subjects.
            count = voxfeed.internal.call('dataset_length', o.own_number());
        end

        function id = subject_id(o, subject)
            % id = subject_id(subject): the id of a subject.
            id = voxfeed.internal.call('dataset_subject_id', o.own_number(), subject);
        end

        function given = ids(o)
            % given = ids(): the ids of all subjects in order, as a cell.
            given = cell(1, o.length());
            for subject = 1:numel(given)
                given{subject} = o.subject_id(subject);
            end
        end

        function number = find(o, id)
            % number = find(id): the number of the subject of this id; voxfeed:not_found where there is none.
            number = voxfeed.internal.call('dataset_find', o.own_number(), id);
        end

        function given = categories(o, subject)
            % given = categories(subject): a subject's categories, as structs with the fields name and entries, a
            % cell.
            if nargin < 2
                subject = 1;
            end
            given = voxfeed.internal.call('dataset_categories', o.own_number(), subject);
        end

        function info = volume_info(o, subject, category, entry)
            % info = volume_info(subject, category, entry): what the file of an entry says; by default of the first
            % entry.
            %
            % A struct: dtype of the stored numbers ('i16'), value_dtype of the values, which differs where these are
            % scaled: value = stored * scale_slope + scale_intercept; shape (the spatial extents, fastest first),
            % channels, spacing_mm (of the first three axes), affine (4x4), has_affine (whether the file has a
            % geometry), path ('' for a volume in memory), format.
            if nargin < 4
                entry = [];
            end
            info = voxfeed.internal.call('dataset_volume_info', o.own_number(), subject, category, entry);
        end

        function array = read(o, subject, category, varargin)
            % array = read(subject, category, ...): reads a region of an entry, or of all of a category, into a new
            % array.
            %
            % Options: entry (all by default), offset (how many voxels lie before the region on each axis, 0 at the
            % border; it may be negative, or the region reach beyond: 0 stands there), shape (the extents; 0 is the
            % rest of the axis), dtype ('f32', 'single', ...; the values' own by default). f16 comes as single.
            % Shape: the spatial axes for an entry with one channel, else (width, height, depth, channel).
            % Errors: voxfeed:range where a value does not fit the dtype; voxfeed:not_found.
            options = struct('entry', [], 'offset', [], 'shape', [], 'dtype', []);
            options = voxfeed.internal.filled('read', options, varargin);
            [infos, entry] = o.infos_of(subject, category, options.entry);
            volume = infos(1).shape;
            if isempty(options.dtype)
                options.dtype = voxfeed.internal.joint_dtype({infos.value_dtype});
            end
            offset = [];
            extents = volume;
            if ~isempty(options.offset) || ~isempty(options.shape)
                offset = voxfeed.internal.axes_for(options.offset, numel(volume), 'offset');
                shape = voxfeed.internal.axes_for(options.shape, numel(volume), 'shape');
                extents = max(0, volume - offset);
                extents(shape ~= 0) = shape(shape ~= 0);
            end
            channels = sum([infos.channels]);
            if channels == 1 && ~isempty(entry)
                channels = 0;
            end
            array = voxfeed.internal.call('dataset_read', o.own_number(), subject, category, entry, offset, ...
                extents, channels, options.dtype);
        end
    end

    methods (Hidden)
        function [infos, entry] = infos_of(o, subject, category, entry)
            % What the entries' files say that are read; entry stays [] where it is all of the category.
            names = {entry};
            if isempty(entry)
                entry = [];
                categories = o.categories(subject);
                at = find(strcmp({categories.name}, category));
                names = {[]};
                if ~isempty(at)
                    names = categories(at).entries;
                end
            end
            for number = 1:numel(names)
                infos(number) = o.volume_info(subject, category, names{number}); %#ok<AGROW>
            end
        end

        function shape = first_shape(o)
            % The extents of the first volume of the first subject; [] where there is none.
            shape = [];
            if o.length() == 0
                return
            end
            for category = o.categories(1)
                if ~isempty(category.entries)
                    info = o.volume_info(1, category.name, category.entries{1});
                    shape = info.shape;
                    return
                end
            end
        end
    end
end
