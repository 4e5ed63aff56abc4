function process_events()
    % voxfeed.process_events(): tells the lines of the log that wait. What the function of set_log raises is raised
    % here.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    voxfeed.internal.tell();
end
