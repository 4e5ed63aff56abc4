% voxfeed: volumetric medical data for deep learning.
%
% Volumes on disk become planned samples, samples become batches ahead of time, predictions become volumes again.
%
%   voxfeed.Dataset      the subjects of a study: opened, built, asked, read
%   voxfeed.Sampler      the rule that says which regions: whole volumes, slices, a grid, patches at random places
%   voxfeed.Transform    what happens to the voxels of a sample
%   voxfeed.Loader       fills batches ahead of time
%   voxfeed.Batch        the samples that are handed over together
%   voxfeed.Assembler    puts predictions back into volumes
%   voxfeed.Writer       makes a dataset file
%
%   voxfeed.save_volume, voxfeed.montage                  volumes and pictures of them as files
%   voxfeed.in_volume, voxfeed.in_row                     where the voxels of a sample come from
%   voxfeed.set_log, voxfeed.process_events               a log
%   voxfeed.last_error                                    more of the library's last error than its text
%   voxfeed.version, voxfeed.build_info, voxfeed.cuda_device_count
%
% Axes are listed fastest first: (width, height, depth, channel, batch), the same bytes that C lists the other way
% round; nothing is transposed. Subjects, samples, axes and channels count from 1, epochs and ranks from 0. Offsets
% say how many voxels lie before a region, so 0 is the border.
%
% Options are names and values, or one struct; [] stands for the default. Choices are words: 'shuffled'.
%
% Errors have the identifier voxfeed:<status>, such as voxfeed:not_found, and say in their text what to do. Texts of
% the library itself list axes slowest first and count from 0.
%
% A pool of pinned memory, DLPack and gpuArray are not offered; voxfeed.h is the manual of what lies below.

% SPDX-License-Identifier: MIT OR Apache-2.0
