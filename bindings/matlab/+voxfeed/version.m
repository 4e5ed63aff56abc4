function text = version()
    % text = voxfeed.version(): the library's version, '0.1.0'.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    text = voxfeed.internal.call('version');
end
