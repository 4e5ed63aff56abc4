function tell()
    % Tells the lines of the log that wait, where there is somebody to tell.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    [told, lines] = voxfeed.internal.listener();
    if isempty(told)
        return
    end
    fresh = voxfeed.internal.call('process_events');
    lines = [lines, num2cell(fresh)];
    while ~isempty(lines)
        line = lines{1};
        lines(1) = [];
        % What is told and raises has heard its line; the others wait for the next time.
        voxfeed.internal.listener(told, lines);
        told(line.level, line.text);
        [told, lines] = voxfeed.internal.listener();
        if isempty(told)
            return
        end
    end
end
