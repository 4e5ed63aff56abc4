function options = filled(noun, options, pairs)
    % Defaults with what is given in place of them; noun says in messages whose options they are.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    given = voxfeed.internal.given(pairs);
    for name = fieldnames(given)'
        if ~isfield(options, name{1})
            error('voxfeed:argument', '%s has no option ''%s''; there are: %s', noun, name{1}, ...
                strjoin(fieldnames(options)', ', '));
        end
        if ~isempty(given.(name{1}))
            options.(name{1}) = given.(name{1});
        end
    end
end
