function stop = says_stop(progress, done, total)
    % Calls progress(done, total); whether it gives true. Its function may as well give nothing, which only ans tells.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    ans = false; %#ok<NOANS>
    progress(done, total);
    stop = (islogical(ans) || isnumeric(ans)) && isscalar(ans) && ans ~= 0; %#ok<NOANS>
end
