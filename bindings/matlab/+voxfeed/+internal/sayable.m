function value = sayable(value, what)
    % A value that jsonencode writes right in every host: no singles, no maps whose keys are numbers.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if isa(value, 'containers.Map')
        keys = value.keys();
        contents = cellfun(@(one) voxfeed.internal.sayable(one, what), value.values(), 'UniformOutput', false);
        if isempty(keys)
            value = struct();
            return
        end
        if ~ischar(keys{1})
            keys = cellfun(@(key) sprintf('%.17g', key), keys, 'UniformOutput', false);
        end
        value = containers.Map(keys, contents, 'UniformValues', false);
    elseif isa(value, 'single')
        value = voxfeed.internal.sayable(double(value), what);
    elseif isfloat(value)
        if ~isreal(value) || any(~isfinite(value(:)))
            error('voxfeed:argument', '%s has a number in it that JSON cannot say: give finite, real ones', what);
        end
    elseif isinteger(value)
        if any(abs(double(value(:))) > 2^53)
            error('voxfeed:argument', '%s has a number above 2^53 in it: give it as text', what);
        end
        value = double(value);
    elseif iscell(value)
        value = cellfun(@(one) voxfeed.internal.sayable(one, what), value, 'UniformOutput', false);
    elseif isstruct(value)
        for at = 1:numel(value)
            for name = fieldnames(value)'
                value(at).(name{1}) = voxfeed.internal.sayable(value(at).(name{1}), what);
            end
        end
    elseif ~(ischar(value) || islogical(value))
        error('voxfeed:argument', '%s has a %s in it, which JSON cannot say', what, class(value));
    end
end
