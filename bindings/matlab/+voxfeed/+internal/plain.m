function value = plain(value)
    % Strings of MATLAB's class as characters, or as cells of characters where there are several, also inside.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if isa(value, 'string')
        if numel(value) == 1
            value = char(value);
        else
            value = cellstr(value);
        end
    elseif iscell(value)
        for at = 1:numel(value)
            value{at} = voxfeed.internal.plain(value{at});
        end
    elseif isstruct(value)
        names = fieldnames(value);
        for at = 1:numel(value)
            for name = names'
                value(at).(name{1}) = voxfeed.internal.plain(value(at).(name{1}));
            end
        end
    end
end
