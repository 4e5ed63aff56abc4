classdef Sampler < voxfeed.internal.Handle
    % The samples of an epoch before they are ordered: regions of subjects, numbered subject by subject, from 1.
    %
    %   sampler = voxfeed.Sampler(dataset, 'kind', 'uniform', 'patch_shape', [64 64 64], 'samples_per_subject', 8)
    %
    % Options: kind ('whole', 'slices', 'grid', 'uniform'), and those that the kind uses:
    %
    %   'whole'    volumes, the default: none
    %   'slices'   axes, which are cut across, in order: a number or several; 1 is the fastest, by default the slowest
    %   'grid'     patches from one corner to the other: patch_shape (0: the whole axis), stride (0: the patch's
    %              extent less the overlap) or overlap (0), border (of patches that would reach beyond the far border:
    %              'drop', the default, leaves them out, 'clip' cuts them, 'pad' lets them reach outside, 'shift' moves
    %              them inside)
    %   'uniform'  patches at random places: patch_shape (0 or none: the whole axis), samples_per_subject (in an epoch;
    %              0, the default, is 1)
    %
    % patch_shape, stride and overlap have one number for each spatial axis, fastest first, in voxels.
    %
    % Errors: voxfeed:argument for an option that the kind does not use, for more or fewer numbers than the first
    % volume has spatial axes, and where a subject has no sample.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Sampler(dataset, varargin)
            options = voxfeed.internal.given(varargin);
            own = voxfeed.internal.own(dataset, 'Dataset');
            voxfeed.Sampler.check_use(options);
            shape = [];
            if any(isfield(options, {'patch_shape', 'stride', 'overlap', 'axes'}))
                shape = dataset.first_shape();
            end
            if ~isempty(shape)
                options = voxfeed.Sampler.fit_axes(options, shape);
            end
            o.number = voxfeed.internal.call('sampler_new', own, options);
        end

        function count = length(o)
            % count = length(): the number of samples of an epoch.
            count = voxfeed.internal.call('sampler_length', o.own_number());
        end

        function sample = get(o, number, varargin)
            % sample = get(number, ...): the sample of this number, as it is in one epoch under one seed.
            %
            % Options: seed (0), epoch (0). The struct is as in voxfeed.Batch's samples.
            options = voxfeed.internal.filled('get', struct('seed', 0, 'epoch', 0), varargin);
            sample = voxfeed.internal.call('sampler_get', o.own_number(), number, options.seed, options.epoch);
        end
    end

    methods (Static, Hidden)
        function check_use(options)
            % Refuses options that would change nothing.
            used_by = struct('border', {{'grid'}}, 'axes', {{'slices'}}, 'patch_shape', {{'grid', 'uniform'}}, ...
                'stride', {{'grid'}}, 'overlap', {{'grid'}}, 'samples_per_subject', {{'uniform'}});
            kind = 'whole';
            said = 'not given and so ';
            if isfield(options, 'kind') && ~(isnumeric(options.kind) && isempty(options.kind))
                kind = options.kind;
                said = '';
            end
            if ~ischar(kind) || ~any(strcmp(kind, {'whole', 'slices', 'grid', 'uniform'}))
                % The MEX says what is wrong with it.
                return
            end
            for name = fieldnames(options)'
                if isfield(used_by, name{1}) && ~isempty(options.(name{1})) && ~any(strcmp(kind, used_by.(name{1})))
                    error('voxfeed:argument', 'kind is %s''%s'', which does not use %s (used by: %s)', said, kind, ...
                        name{1}, strjoin(used_by.(name{1}), ', '));
                end
            end
        end

        function options = fit_axes(options, shape)
            % Refuses lists of another number of axes than the volume has, and turns the numbers of axes round for the
            % MEX.
            ndim = numel(shape);
            for name = {'patch_shape', 'stride', 'overlap'}
                if isfield(options, name{1}) && ~isempty(options.(name{1})) && numel(options.(name{1})) ~= ndim
                    error('voxfeed:argument', ['%s is %s, expected %d numbers: one for each spatial axis of the ', ...
                        'first volume, whose shape is %s'], name{1}, ...
                        voxfeed.internal.shown(options.(name{1})), ndim, ...
                        mat2str(shape));
                end
            end
            if isfield(options, 'axes') && ~isempty(options.axes)
                axes = options.axes;
                if ~isnumeric(axes) || any(axes(:) < 1) || any(axes(:) > ndim) || any(axes(:) ~= floor(axes(:)))
                    error('voxfeed:argument', 'axes is %s, expected numbers from 1 to %d', ...
                        voxfeed.internal.shown(axes), ndim);
                end
                options.axes = ndim - double(axes);
            end
        end
    end
end
