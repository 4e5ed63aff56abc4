function numbers = axes_for(given, ndim, what)
    % One whole number for each spatial axis of a volume; 0 everywhere where none are given.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    numbers = zeros(1, ndim);
    if isempty(given)
        return
    end
    is_list = isnumeric(given) && isreal(given) && numel(given) == ndim;
    if is_list
        numbers = double(full(given(:)'));
    end
    if ~is_list || any(numbers ~= floor(numbers)) || any(abs(numbers) > 2^53)
        error('voxfeed:argument', '%s is %s, expected %d whole numbers, one for each spatial axis', what, ...
            voxfeed.internal.shown(given), ndim);
    end
end
