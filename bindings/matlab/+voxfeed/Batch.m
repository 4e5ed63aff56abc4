classdef Batch < voxfeed.internal.Handle
    % The samples that are handed over together; voxfeed.Loader's next() gives it.
    %
    %   images = batch.get('images')        an array (width, height, depth, channel, batch): a copy, which stays yours
    %   batch.release()                     gives the memory back to the loader, as do clear and delete
    %
    % Arrays have the class of their dtype: single, int16, logical and so on; f16 comes as single, which holds its
    % values. MATLAB drops last axes of 1: shape() tells all of them. A batch outlives its loader. DLPack and gpuArray
    % are not offered: with the loader's device 'cuda', get() waits and copies to the host.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Batch(number)
            voxfeed.internal.call('batch_claim', number);
            o.number = number;
        end

        function array = get(o, category)
            % array = get(category): a copy of one category's voxels, or of the first's; voxfeed:not_found lists them.
            if nargin < 2
                category = [];
            end
            array = voxfeed.internal.call('batch_get', o.own_number(), category);
        end

        function [extents, dtype, device] = shape(o, category)
            % [extents, dtype, device] = shape(category): all axes of get(category), its dtype ('f32'), and where it
            % lies.
            if nargin < 2
                category = [];
            end
            given = voxfeed.internal.call('batch_describe', o.own_number(), category);
            extents = given.shape;
            dtype = given.dtype;
            device = given.device;
        end

        function given = categories(o)
            % given = categories(): the names of its categories in order, as a cell.
            given = voxfeed.internal.call('batch_categories', o.own_number());
        end

        function count = length(o)
            % count = length(): the number of samples, which is the extent of the last axis.
            count = voxfeed.internal.call('batch_length', o.own_number());
        end

        function given = samples(o)
            % given = samples(): what each row holds, as structs, one for each.
            %
            % index: the number within the sampler, from 1; subject: its number, from 1; epoch, from 0; position: the
            % place in the epoch's order over all ranks, from 1; repeated: whether it only fills up the last batch;
            % thin_axis: the axis that a slice is one voxel thick on, from 1, or 0; offset: how many voxels lie before
            % the region on each axis, negative where it begins outside; shape: its extents; valid_offset,
            % valid_shape: the part of the region that lies inside the volume. Axes are fastest first. See
            % voxfeed.in_volume and voxfeed.in_row.
            given = voxfeed.internal.call('batch_samples', o.own_number());
        end

        function other = retain(o)
            % other = retain(): one more object of the same batch; each one is released on its own.
            other = voxfeed.Batch(voxfeed.internal.call('batch_retain', o.own_number()));
        end

        function release(o)
            % release(): lets go of the batch; arrays of get() stay. Again: nothing happens.
            o.close();
        end

        function wait(o, stream)
            % wait(stream): lets a CUDA stream wait until the batch is on the GPU, and ties the memory to its work.
            %
            % stream: its handle as a uint64; 0, the default, and 1 are the legacy default stream, 2 is the thread's
            % own, and with -1 the caller waits. get() needs no wait.
            if nargin < 2
                stream = 0;
            end
            voxfeed.internal.call('batch_wait', o.own_number(), stream);
        end

        function record_stream(o, stream)
            % record_stream(stream): ties the memory to one more stream that uses it.
            if nargin < 2
                stream = 0;
            end
            voxfeed.internal.call('batch_record_stream', o.own_number(), stream);
        end

        function is_there = query(o)
            % is_there = query(): whether the batch has arrived where it lies.
            is_there = voxfeed.internal.call('batch_query', o.own_number());
        end

        function event = ready_event(o)
            % event = ready_event(): the CUDA event behind its arrival, as a uint64; voxfeed:unsupported on the host.
            event = voxfeed.internal.call('batch_ready_event', o.own_number());
        end
    end
end
