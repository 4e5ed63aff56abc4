function options = given(pairs)
    % Options as one struct, from a cell of names and values or with one struct. A value of [] is not given.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    options = struct();
    if numel(pairs) == 1 && isstruct(pairs{1}) && numel(pairs{1}) == 1
        options = voxfeed.internal.plain(pairs{1});
        return
    end
    if mod(numel(pairs), 2) ~= 0
        error('voxfeed:argument', 'options are pairs of a name and a value, or one struct');
    end
    for at = 1:2:numel(pairs)
        name = voxfeed.internal.plain(pairs{at});
        if ~ischar(name)
            error('voxfeed:argument', ['an option''s name is a %s, expected text: options are pairs of a name and a ', ...
                'value'], class(name));
        end
        if ~isvarname(name)
            error('voxfeed:argument', 'there is no option ''%s''', name);
        end
        if isfield(options, name)
            error('voxfeed:argument', 'the option %s is given twice', name);
        end
        options.(name) = voxfeed.internal.plain(pairs{at + 1});
    end
end
