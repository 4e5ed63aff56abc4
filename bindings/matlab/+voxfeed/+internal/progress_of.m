function progress = progress_of(given)
    % The function that progress is told to, or [].

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if ~isempty(given) && ~isa(given, 'function_handle')
        error('voxfeed:argument', 'progress is a %s, expected a function handle: @(done, total) ...', class(given));
    end
    progress = given;
end
