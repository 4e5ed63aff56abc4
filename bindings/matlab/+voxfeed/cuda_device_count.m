function count = cuda_device_count()
    % count = voxfeed.cuda_device_count(): the number of CUDA devices; 0 where there is no driver.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    count = voxfeed.internal.call('cuda_device_count');
end
