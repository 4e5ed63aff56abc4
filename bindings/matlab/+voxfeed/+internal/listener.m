function [told, lines] = listener(varargin)
    % Whom set_log has named, and the lines that it has not been told yet: listener() gives, listener(told, lines)
    % sets.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    persistent kept_told kept_lines
    if nargin > 0
        [kept_told, kept_lines] = varargin{:};
    end
    told = kept_told;
    lines = kept_lines;
end
