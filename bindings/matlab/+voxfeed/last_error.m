function given = last_error()
    % given = voxfeed.last_error(): the parts of the library's last error that a program may want apart from the text.
    %
    % A struct: status ('not_found'; '' before the first), message, path of the file concerned or '', sample that
    % failed, by its number within the sampler, or 0, os_error (the operating system's number or 0), device_error (the
    % CUDA driver's or 0). Errors of this face itself, such as an unknown option, are not kept here.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    given = voxfeed.internal.call('last_error');
end
