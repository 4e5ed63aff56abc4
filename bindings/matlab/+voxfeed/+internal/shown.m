function text = shown(value)
    % A value for a message.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if (isnumeric(value) || islogical(value)) && numel(value) <= 8
        text = mat2str(value);
    elseif ischar(value) && size(value, 1) <= 1 && numel(value) <= 80
        text = ['''', value, ''''];
    else
        text = sprintf('a %s of %s', class(value), strrep(mat2str(size(value)), ' ', 'x'));
    end
end
