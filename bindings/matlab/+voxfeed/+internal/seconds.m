function timeout = seconds(timeout)
    % A timeout as a double, which may be Inf.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if ~isnumeric(timeout) || ~isscalar(timeout) || ~isreal(timeout) || ~(timeout >= 0)
        error('voxfeed:argument', 'timeout is %s, expected seconds, 0 or more', voxfeed.internal.shown(timeout));
    end
    timeout = double(timeout);
end
