function set_log(told, level)
    % voxfeed.set_log(told, level): sets who is told of what is no error and would otherwise happen in silence.
    %
    % told(level, line) gets 'error' (something is lost), 'warning' (it goes on, but not as you want it to) or 'info'
    % (what the library has decided by itself), and one line of text: lines of this level, 'info' by default, and
    % those that matter more. told may be 'print', and [] is nobody, as at first. Lines wait, 256 at most, and are
    % told in voxfeed.process_events() and wherever a batch is waited for; what told raises is raised there. There is
    % one for the process; `clear all` forgets it.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if nargin < 2
        level = 'info';
    end
    told = voxfeed.internal.plain(told);
    level = voxfeed.internal.plain(level);
    if strcmp(level, 'warn')
        level = 'warning';
    end
    if strcmp(told, 'print')
        told = @(level, line) fprintf('voxfeed, %s: %s\n', level, line);
    elseif ~isempty(told) && ~isa(told, 'function_handle')
        error('voxfeed:argument', 'told is a %s, expected a function handle, ''print'' or []', class(told));
    end
    if isempty(told)
        told = [];
        level = [];
    end
    voxfeed.internal.call('set_log', level);
    voxfeed.internal.listener(told, {});
end
