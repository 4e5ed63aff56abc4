classdef Writer < voxfeed.internal.Handle
    % Makes a dataset file in pymia's HDF5 layout; the name must end in .h5 or .hdf5.
    %
    %   writer = voxfeed.Writer('brains.h5');
    %   writer.add_dataset(dataset);
    %   writer.finish();
    %
    % The file gets its name in finish(); without it, nothing is left.
    % Option: existing ('error', 'replace').

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Writer(file, varargin)
            o.number = voxfeed.internal.call('writer_create', file, voxfeed.internal.given(varargin));
        end

        function add_subject(o, id)
            % add_subject(id): begins a subject; the entries that follow are its.
            voxfeed.internal.call('writer_add_subject', o.own_number(), id);
        end

        function add_entry(o, category, entry, array, varargin)
            % add_entry(category, entry, array, ...): writes a volume of the current subject: (width, height, depth)
            % or less.
            %
            % Options: affine (4x4, as voxfeed.Dataset says), ndim (how many axes it has, where last ones of 1 were
            % dropped).
            voxfeed.internal.call('writer_add_entry', o.own_number(), category, entry, array, ...
                voxfeed.internal.given(varargin));
        end

        function is_whole = add_dataset(o, dataset, progress)
            % is_whole = add_dataset(dataset, progress): writes all subjects of a dataset, read in parallel.
            %
            % Voxels, as values, and geometry are written; attributes and splits are not.
            % progress(done, total), which may be left out, is called as subjects are done; where it gives true,
            % writing stops, and is_whole is false. What it raises stops it too.
            if nargin < 3
                progress = [];
            end
            progress = voxfeed.internal.progress_of(progress);
            source = voxfeed.internal.own(dataset, 'Dataset');
            job = voxfeed.internal.call('writer_add_dataset', o.own_number(), source, ~isempty(progress));
            is_whole = voxfeed.internal.work(job, progress);
        end

        function finish(o)
            % finish(): completes the file and gives it its name.
            voxfeed.internal.call('writer_finish', o.own_number());
        end
    end
end
