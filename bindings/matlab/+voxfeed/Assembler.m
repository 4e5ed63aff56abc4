classdef Assembler < voxfeed.internal.Handle
    % Puts predictions for the batches of a loader back into volumes, in any order.
    %
    %   volumes = voxfeed.Assembler(loader, 'blend', 'gaussian', 'reduce', 'argmax');
    %   volumes.add(batch, prediction);
    %   for subject = volumes.complete()
    %       volumes.save(subject, [dataset.subject_id(subject), '.nii.gz']);
    %   end
    %
    % Options: blend ('last', 'mean', 'gaussian'), reduce ('none', 'argmax': a map of u8 labels from 0),
    % dtype ('f32', 'u8'), accumulate ('f32', 'f64': sums), sigma (gaussian: as a share of the patch's extent; 0:
    % 0.125), device, device_id and device_bytes (where sums lie; predictions are on the host here, so 'cuda' brings
    % nothing), threads (the most that add the rows of one call; 0: as many as there are cores, at most 8). A subject
    % is complete when every sample that this rank's epoch has of it was added.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Assembler(loader, varargin)
            options = voxfeed.internal.given(varargin);
            o.number = voxfeed.internal.call('assembler_new', voxfeed.internal.own(loader, 'Loader'), options);
        end

        function add(o, batch, prediction)
            % add(batch, prediction): adds the prediction for a batch: (width, height, depth, channel, batch), of any
            % class.
            %
            % The spatial extents are those of the batch's rows, or smaller by an even number of voxels: then centred.
            % Last axes of 1 may be dropped; the channel's axis is always there, also where the batch has none.
            % Errors: voxfeed:argument for another shape; voxfeed:state where a sample was added before.
            voxfeed.internal.call('assembler_add', o.own_number(), voxfeed.internal.own(batch, 'Batch'), prediction);
        end

        function add_samples(o, samples, prediction)
            % add_samples(samples, prediction): as add, for samples that were kept from batch.samples().
            voxfeed.internal.call('assembler_add_samples', o.own_number(), samples, prediction);
        end

        function subject = next_complete(o)
            % subject = next_complete(): the number of a subject that has become complete, each one once; [] where
            % none has.
            subject = voxfeed.internal.call('assembler_next_complete', o.own_number());
        end

        function subjects = complete(o)
            % subjects = complete(): a row of the numbers of all subjects that have become complete since it was
            % asked.
            subjects = zeros(1, 0);
            subject = o.next_complete();
            while ~isempty(subject)
                subjects(end + 1) = subject; %#ok<AGROW>
                subject = o.next_complete();
            end
        end

        function [extents, dtype] = shape(o, subject)
            % [extents, dtype] = shape(subject): the axes of take(subject), (width, height, depth, channel), and its
            % dtype.
            [extents, dtype] = voxfeed.internal.call('assembler_shape', o.own_number(), subject);
        end

        function share = coverage(o, subject)
            % share = coverage(subject): the share of a subject's voxels, 0 to 1, that a prediction has reached.
            share = voxfeed.internal.call('assembler_coverage', o.own_number(), subject);
        end

        function array = take(o, subject, completeness)
            % array = take(subject, completeness): a result, (width, height, depth, channel); it is then gone from
            % here.
            %
            % completeness: 'complete', the default, or 'partial': what there is, 0 where no prediction has reached.
            % Errors: voxfeed:state where it is incomplete; voxfeed:not_found where nothing was added.
            if nargin < 3
                completeness = 'complete';
            end
            array = voxfeed.internal.call('assembler_take', o.own_number(), subject, completeness);
        end

        function save(o, subject, file, completeness)
            % save(subject, file, completeness): saves a result with its geometry: .nii, .nii.gz, .npy or .h5 by the
            % name.
            %
            % The file is complete or not there. completeness and errors as take; voxfeed:io, the subject then stays.
            if nargin < 4
                completeness = 'complete';
            end
            voxfeed.internal.call('assembler_save', o.own_number(), subject, file, completeness);
        end
    end
end
