classdef Transform < voxfeed.internal.Handle
    % A chain of steps that is applied to every sample in its row of the batch.
    %
    %   transform = voxfeed.Transform(struct('name', 'window', 'category', 'images', 'low', -100, 'high', 300))
    %
    % steps: a struct, a struct array, a cell of structs, or their JSON text, each with name, category and parameters;
    % voxfeed.h lists the steps. A lookup's map has names that are numbers, which are no fields: give it as a
    % containers.Map({'2', '3'}, {1, 1}), or the whole as JSON text.
    % Errors: voxfeed:argument for an unknown step, key or value; it says what is allowed.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Transform(steps)
            steps = voxfeed.internal.plain(steps);
            if isstruct(steps)
                steps = num2cell(steps);
            end
            if iscell(steps)
                texts = cellfun(@jsonencode, steps(:)', 'UniformOutput', false);
                steps = ['[', strjoin(texts, ','), ']'];
            end
            o.number = voxfeed.internal.call('transform_parse', steps);
        end
    end
end
