function info = build_info()
    % info = voxfeed.build_info(): what the library is made of: version, C interface, linked libraries, target.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    info = jsondecode(voxfeed.internal.call('build_info'));
end
