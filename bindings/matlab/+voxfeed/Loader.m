classdef Loader < voxfeed.internal.Handle
    % Fills batches ahead of time with threads of its own, and lends them in epoch order.
    %
    %   loader = voxfeed.Loader(sampler, 'batch_size', 4, 'order', 'shuffled');
    %   loader.start(0);
    %   while true
    %       batch = loader.next();
    %       if isempty(batch), break; end
    %       images = batch.get('images');                 % (width, height, depth, channel, batch)
    %       batch.release();
    %   end
    %   loader.each(1, @(batch) train(batch.get('images')));    % the same, shorter
    %
    % Options, of which every number is its default where it is 0: batch_size (1), prefetch (batches that are kept
    % ready; 2), threads (one a core, 8 at most), order ('sequential', 'shuffled'), last_batch ('keep', 'drop',
    % 'pad'), on_error ('continue', 'stop'), ragged ('error', 'pad'), thin_axis ('drop', 'keep'), endless (false),
    % rank (0, the first), world_size (1), seed (0; above 2^53 as a uint64), transform (a voxfeed.Transform or its
    % steps), categories (a name, a struct, or a cell of names and structs; by default all of the first subject),
    % device ('cpu', 'cuda', 'cuda_host': pinned host memory), device_id (0), cast ('auto', 'host', 'device': where
    % voxels get their dtype), group_window (within windows of so many samples, those of one subject that lie near
    % each other follow each other; 0: none), consumer ('cpu', 'device'). voxfeed.h says more; a pool of pinned memory
    % (pinned) is not offered here.
    %
    % A category's struct has name, and where the defaults will not do: entries (a name or a cell, in channel order),
    % dtype ('f32', 'single', ...; before any transform, by default the smallest that holds all stored values),
    % padding ('zero', 'constant', 'edge', 'reflect', 'symmetric', 'wrap') and pad_value for voxels outside, fit
    % ('exact', 'saturate'), squeeze_channel (whether a single channel has no axis).
    %
    % Epochs count from 0, as they are numbers that seed. The batches are the same for any number of threads. At most
    % prefetch + 1 batches exist at a time: release those that you hold. Ctrl-C is noticed within 0.1 s and loses no
    % batch.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    methods
        function o = Loader(sampler, varargin)
            options = voxfeed.internal.given(varargin);
            own = voxfeed.internal.own(sampler, 'Sampler');
            if isfield(options, 'transform') && ~isempty(options.transform)
                transform = options.transform;
                if ~isa(transform, 'voxfeed.Transform')
                    transform = voxfeed.Transform(transform);
                end
                options.transform = transform.own_number();
            end
            o.number = voxfeed.internal.call('loader_new', own, options);
        end

        function count = length(o)
            % count = length(): the number of batches of an epoch on this rank.
            count = voxfeed.internal.call('loader_length', o.own_number());
        end

        function start(o, epoch)
            % start(epoch): begins an epoch, 0 being the first; a running one is given up.
            voxfeed.internal.call('loader_start', o.own_number(), epoch);
        end

        function batch = next(o, timeout)
            % batch = next(timeout): the next voxfeed.Batch, or [] at the end of the epoch.
            %
            % It waits at most timeout seconds, Inf by default. Lines of the log are told here too.
            % Errors: those of the batch's samples, in order, the message naming file and region; voxfeed:timeout,
            % after which nothing is lost; voxfeed:cancelled; voxfeed:state before the first start.
            if nargin < 2
                timeout = Inf;
            end
            timeout = voxfeed.internal.seconds(timeout);
            began = tic;
            is_warned = false;
            while true
                % Before a batch is asked for: it would have no owner if the log's function fails.
                voxfeed.internal.tell();
                left = max(0, min(0.1, timeout - toc(began)));
                [word, number] = voxfeed.internal.call('loader_next', o.own_number(), left);
                switch word
                    case 'ok'
                        batch = voxfeed.Batch(number);
                        return
                    case 'end'
                        batch = [];
                        return
                    case 'cancelled'
                        error('voxfeed:cancelled', 'the loader was cancelled: start an epoch');
                end
                waited = toc(began);
                if waited >= timeout
                    error('voxfeed:timeout', 'no batch was ready within %g seconds', timeout);
                end
                if waited > 5 && ~is_warned
                    is_warned = true;
                    o.warn_of_held();
                end
            end
        end

        function each(o, epoch, use)
            % each(epoch, use): begins an epoch and calls use(batch) for every batch, which is released behind it.
            o.start(epoch);
            while true
                batch = o.next();
                if isempty(batch)
                    return
                end
                guard = onCleanup(@() batch.release());
                use(batch);
                clear guard
            end
        end

        function cancel(o)
            % cancel(): ends the epoch; next() gives voxfeed:cancelled until a start.
            voxfeed.internal.call('loader_cancel', o.own_number());
        end

        function text = save_state(o)
            % text = save_state(): the loader's place: behind the last batch that next() gave.
            text = voxfeed.internal.call('loader_save_state', o.own_number());
        end

        function load_state(o, state)
            % load_state(state): goes back to a saved place, in place of a start: next() continues exactly there.
            %
            % Batch size, prefetch and threads may be others than when the state was saved.
            % Errors: voxfeed:argument where it is damaged or belongs to another dataset, sampler, seed or share.
            voxfeed.internal.call('loader_load_state', o.own_number(), state);
        end

        function given = stats(o)
            % given = stats(): what the loader has done since it was made, as a struct of doubles.
            %
            % threads; batches, samples, bytes given out; errors: batches that failed; waits, wait_ns: how often (each
            % 0.1 s of a long wait anew) and how long the next batch was waited for; work_ns, idle_ns: how long all
            % threads together worked and had nothing to do; held: batches that you hold; slots, slot_bytes: those that
            % exist; cache_hits, cache_misses, cache_bytes: of the dataset's cache of decoded parts; scratch_bytes: what
            % the threads decode and convert in; pinned_bytes, device_bytes, uploads, upload_bytes, event_waits: of a
            % GPU.
            % voxfeed.h says what each one counts.
            given = voxfeed.internal.call('loader_stats', o.own_number());
        end

        function is_ended = close(o, timeout)
            % is_ended = close(timeout): ends the threads, waiting at most timeout seconds (Inf), and lets go of the
            % loader.
            %
            % Whether all threads have ended; others end by themselves. Batches stay valid. Again: nothing happens.
            if nargin < 2
                timeout = Inf;
            end
            timeout = voxfeed.internal.seconds(timeout);
            number = o.number;
            o.number = [];
            is_ended = isempty(number);
            if is_ended
                return
            end
            guard = onCleanup(@() voxfeed.internal.call('let_go', number));
            began = tic;
            while ~is_ended
                left = max(0, min(0.1, timeout - toc(began)));
                is_ended = voxfeed.internal.call('loader_close', number, left);
                if toc(began) >= timeout
                    break
                end
            end
            clear guard
        end
    end

    methods (Hidden)
        function warn_of_held(o)
            % Without a log nobody else says why no batch comes.
            given = o.stats();
            if isempty(voxfeed.internal.listener()) && given.held >= given.slots
                warning('voxfeed:held', ['all %d batches of the loader are held, so none can be filled: release ', ...
                    'batches, or raise prefetch'], given.slots);
            end
        end
    end
end
