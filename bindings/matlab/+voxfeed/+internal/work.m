function is_whole = work(job, progress)
    % Waits for a job, calling progress(done, total) here, until it ends or progress gives true; whether it was all
    % done.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    guard = onCleanup(@() voxfeed.internal.call('let_go', job));
    while true
        [state, done, total] = voxfeed.internal.call('job_wait', job, 0.1);
        if strcmp(state, 'ended')
            break
        elseif strcmp(state, 'waiting')
            voxfeed.internal.call('job_answer', job, voxfeed.internal.says_stop(progress, done, total));
        end
    end
    is_whole = voxfeed.internal.call('job_result', job);
    clear guard
end
