classdef Transform < voxfeed.internal.Handle
    % A chain of steps that is applied to every sample in its row of the batch.
    %
    %   transform = voxfeed.Transform(struct('name', 'window', 'category', 'images', 'low', -100, 'high', 300))
    %
    % steps: a struct, a struct array, a cell of structs, or their JSON text, each with name, category and parameters:
    % cast (dtype, fit), scale (slope, offset), window (low, high, to), zscore (mean and std, or statistics 'subject'
    % with voxels 'all' or 'nonzero') and lookup (map, default), of which voxfeed.h says what each one does. A lookup's
    % map is a containers.Map([2 3], [1 1]).
    % Errors: voxfeed:argument for an unknown step, key or value; it says what is allowed.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Transform(steps)
            steps = voxfeed.internal.plain(steps);
            if isstruct(steps)
                steps = num2cell(steps);
            end
            if iscell(steps)
                texts = cellfun(@(step) voxfeed.internal.json(step, 'a step'), steps(:)', 'UniformOutput', false);
                steps = ['[', strjoin(texts, ','), ']'];
            elseif ~ischar(steps) || ~any(strncmp(strtrim(steps), {'[', '{'}, 1))
                error('voxfeed:argument', ['steps is %s, expected a struct such as struct(''name'', ''window'', ', ...
                    '''category'', ''images'', ''low'', 0, ''high'', 1), a cell of structs, or JSON text'], ...
                    voxfeed.internal.shown(steps));
            end
            o.number = voxfeed.internal.call('transform_parse', steps);
        end
    end
end
