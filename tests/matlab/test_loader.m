function tests = test_loader()
    tests = {@a_loop_gives_an_epoch, @each_releases_its_batches, @the_options_do_something, @categories_have_options, ...
        @wrong_options_are_refused, @transforms_are_structs_or_text, ...
        @numbers_of_every_class_are_said_exactly, @a_state_continues_exactly_there, @a_timeout_loses_nothing, ...
        @held_batches_are_warned_of, @cancelled_is_said, @close_ends_the_threads, @errors_of_samples_come_in_order, ...
        @stats_count, @a_lost_batch_is_given_again, @a_big_seed_stays_exact, @the_example_runs};
end

function loader = loader_of(varargin)
    sampler = voxfeed.Sampler(study([8 7 6], [8 7 6]), 'kind', 'uniform', 'patch_shape', [4 3 2], 'samples_per_subject', 5);
    loader = voxfeed.Loader(sampler, varargin{:});
end

function found = samples_of(loader)
    % The samples of what is left of an epoch, in order.
    found = [];
    while true
        batch = loader.next();
        if isempty(batch)
            return
        end
        found = [found, batch.samples()]; %#ok<AGROW>
        batch.release();
    end
end

function a_loop_gives_an_epoch()
    loader = loader_of('batch_size', 4);
    assert(loader.length() == 3 && length(loader) == 3);
    must_raise('state', @() loader.next(), 'start');
    for epoch = 0:1
        loader.start(epoch);
        sizes = [];
        while true
            batch = loader.next();
            if isempty(batch), break; end
            sizes(end + 1) = batch.length(); %#ok<AGROW>
            assert(isequal(batch.shape('images'), [4 3 2 1 batch.length()]));
            assert(isequal(size(batch.get('images')), [4 3 2 1 batch.length()]) && isa(batch.get('images'), 'int16'));
            samples = batch.samples();
            assert(numel(samples) == batch.length() && samples(1).epoch == epoch);
            batch.release();
        end
        assert(isequal(sizes, [4 4 2]));
        assert(isempty(loader.next()));
    end
    must_raise('range', @() loader.start(-1), 'epoch');
    must_raise('argument', @() loader.start('first'), 'epoch');
    must_raise('argument', @() loader.start(0.5), 'epoch');
end

function each_releases_its_batches()
    loader = loader_of('batch_size', 1);
    count = containers.Map('KeyType', 'double', 'ValueType', 'any');
    kept = containers.Map('KeyType', 'double', 'ValueType', 'any');
    loader.each(0, @(batch) keep(count, kept, batch));
    assert(count.Count == 10 && loader.stats().held == 0);
    batch = kept(1);
    must_raise('handle', @() batch.get('images'), 'closed');
    must_raise('state', @() loader.each(0, @(batch) error('voxfeed:state', 'enough')), 'enough');
    assert(loader.stats().held == 0);
end

function keep(count, kept, batch)
    count(count.Count + 1) = batch.length();
    kept(1) = batch;
end

function the_options_do_something()
    first = @(varargin) samples_of(started(loader_of(varargin{:}), 0));
    plain = first();
    assert(isequal([plain.index], 1:10) && isequal([plain.position], 1:10));
    shuffled = first('order', 'shuffled', 'seed', 3);
    assert(~isequal([shuffled.index], 1:10) && isequal(sort([shuffled.index]), 1:10));
    assert(~isequal(first('order', 'shuffled', 'seed', 4), shuffled));
    assert(isequal(first('order', 'shuffled', 'seed', 3, 'threads', 3, 'prefetch', 5, 'batch_size', 3), shuffled));
    assert(loader_of('batch_size', 4, 'last_batch', 'drop').length() == 2);
    padded = first('batch_size', 4, 'last_batch', 'pad');
    assert(numel(padded) == 12 && isequal([padded.repeated], [false(1, 10) true true]));
    assert(loader_of('prefetch', 7).stats().slots == 8);
    assert(loader_of('threads', 3).stats().threads == 3);
    shares = [first('rank', 0, 'world_size', 2), first('rank', 1, 'world_size', 2)];
    assert(isequal(sort([shares.index]), 1:10) && numel(first('rank', 1, 'world_size', 2)) == 5);
    grouped = first('order', 'shuffled', 'seed', 3, 'group_window', 10);
    assert(isequal(sort([grouped.index]), 1:10) && sum(diff([grouped.subject]) ~= 0) == 1);
    endless = started(loader_of('endless', true), 0);
    for number = 1:25
        batch = endless.next();
        assert(batch.samples().epoch == floor((number - 1) / 10));
        batch.release();
    end
    whole = voxfeed.Sampler(study([8 7 6], [3 4 5]));
    must_raise('argument', @() voxfeed.Loader(whole, 'batch_size', 2));
    batch = started(voxfeed.Loader(whole, 'batch_size', 2, 'ragged', 'pad'), 0).next();
    samples = batch.samples();
    assert(isequal(batch.shape(), [8 7 6 1 2]) && isequal(samples(2).valid_shape, [3 4 5]));
    slices = voxfeed.Sampler(study([8 7 6]), 'kind', 'slices');
    assert(isequal(started(voxfeed.Loader(slices), 0).next().shape(), [8 7 1 1]));
    assert(isequal(started(voxfeed.Loader(slices, 'thin_axis', 'keep'), 0).next().shape(), [8 7 1 1 1]));
    assert(isequal(started(voxfeed.Loader(slices, 'consumer', 'device'), 0).next().get(), ...
        started(voxfeed.Loader(slices), 0).next().get()));
    if voxfeed.cuda_device_count() == 0
        for device = {'cuda', 'cuda_host'}
            must_raise('no_device', @() loader_of('device', device{1}));
        end
    end
    must_raise('argument', @() loader_of('device_id', 1));
    must_raise('argument', @() loader_of('cast', 'device'));
end

function loader = started(loader, epoch)
    loader.start(epoch);
end

function categories_have_options()
    sampler = voxfeed.Sampler(study([4 3 2]), 'kind', 'grid', 'patch_shape', [6 3 2], 'border', 'pad');
    batch_of = @(varargin) started(voxfeed.Loader(sampler, 'categories', varargin{:}), 0).next();
    assert(isequal(batch_of('labels').categories(), {'labels'}));
    assert(isequal(batch_of({'labels', 'images'}).categories(), {'labels', 'images'}));
    assert(isequal(batch_of(struct('name', {'labels', 'images'})).categories(), {'labels', 'images'}));
    get = @(varargin) batch_of(struct('name', 'images', varargin{:})).get('images');
    plain = get();
    assert(isa(plain, 'int16') && isequal(size(plain), [6 3 2]) && all(all(plain(5:6, :) == 0)));
    assert(isa(get('dtype', 'f64'), 'double') && isa(get('dtype', 'single'), 'single'));
    assert(isequal(get('dtype', 'f16'), single(plain)) && isa(get('dtype', 'f16'), 'single'));
    constant = get('padding', 'constant', 'pad_value', -5);
    assert(all(all(constant(5:6, :) == -5)) && isequal(constant(1:4, :), plain(1:4, :)));
    edge = get('padding', 'edge');
    assert(isequal(edge(5, :), plain(4, :)) && isequal(edge(6, :), plain(4, :)));
    reflected = get('padding', 'reflect');
    assert(isequal(reflected(5:6, :), plain([3 2], :)));
    symmetric = get('padding', 'symmetric');
    assert(isequal(symmetric(5:6, :), plain([4 3], :)));
    wrapped = get('padding', 'wrap');
    assert(isequal(wrapped(5:6, :), plain([1 2], :)));
    must_raise('range', @() get('dtype', 'u8'));
    assert(isequal(get('dtype', 'u8', 'fit', 'saturate'), uint8(plain)));
    assert(isequal(batch_of(struct('name', 'images', 'squeeze_channel', 1)).shape(), [6 3 2 1]));
    assert(isequal(batch_of(struct('name', 'images', 'squeeze_channel', false)).shape(), [6 3 2 1 1]));
    twice = batch_of(struct('name', 'images', 'entries', {{'T1', 'T1'}}));
    assert(isequal(twice.shape(), [6 3 2 2 1]));
    assert(isequal(get('entries', 'T1'), plain));
    must_raise('not_found', @() get('entries', 'T9'), 'T9');
    must_raise('not_found', @() batch_of('pictures'), 'pictures');
    must_raise('not_found', @() batch_of('labels').get('images'), 'labels');
    must_raise('argument', @() batch_of({}), 'empty');
    must_raise('argument', @() batch_of({5}), 'category');
    must_raise('argument', @() batch_of({[]}), 'category');
    must_raise('argument', @() batch_of(7), 'category');
    must_raise('argument', @() batch_of(struct('dtype', 'f32')), 'name');
    must_raise('argument', @() get('colour', 1), 'name, entries, dtype');
    must_raise('argument', @() get('entries', 5), 'entries');
    must_raise('argument', @() get('entries', {{'T1', []}}));
    must_raise('argument', @() get('dtype', 'f31'), '''f32''');
end

function wrong_options_are_refused()
    for name = {'batch_size', 'prefetch', 'threads', 'rank', 'world_size', 'seed', 'device_id', 'group_window', 'endless'}
        for value = {'one', {1}, [1 2], 1.5, NaN, Inf, struct(), 1i, @sin}
            must_raise('argument', @() loader_of(name{1}, value{1}), name{1});
        end
        must_raise('range', @() loader_of(name{1}, -2^40), name{1});
    end
    for name = {'order', 'last_batch', 'on_error', 'ragged', 'thin_axis', 'device', 'consumer', 'cast'}
        for value = {'sideways', 1, {1}, @sin, ''}
            must_raise('argument', @() loader_of(name{1}, value{1}), name{1}, 'expected ''');
        end
    end
    must_raise('argument', @() loader_of('batchsize', 4), 'batch_size, prefetch');
    must_raise('argument', @() loader_of('pinned', 4), 'no option');
    must_raise('argument', @() loader_of('transform', 5));
    must_raise('argument', @() voxfeed.Loader(study()), 'voxfeed.Sampler');
    must_raise('argument', @() loader_of('threads', 2000));
    must_raise('argument', @() loader_of('rank', 3, 'world_size', 2));
end

function transforms_are_structs_or_text()
    steps = {struct('name', 'cast', 'category', 'images', 'dtype', 'f32'), ...
        struct('name', 'scale', 'category', 'images', 'slope', 2, 'offset', 0.5)};
    plain = single(started(loader_of(), 0).next().get('images'));
    get = @(transform) started(loader_of('transform', transform), 0).next().get('images');
    assert(isequal(get(steps), 2 * plain + 0.5));
    assert(isequal(get(voxfeed.Transform(steps)), 2 * plain + 0.5));
    assert(isequal(get(struct('name', 'cast', 'category', 'images', 'dtype', {'f32', 'f64'})), double(plain)));
    assert(isequal(get('[{"name": "cast", "category": "images", "dtype": "f32"}]'), plain));
    window = struct('name', 'window', 'category', 'images', 'low', -500, 'high', 500, 'to', [-1 1]);
    windowed = get({steps{1}, window});
    assert(max(abs(windowed(:) - min(1, max(-1, plain(:) / 500)))) < 1e-5);
    lookup = struct('name', 'lookup', 'category', 'labels', 'map', containers.Map({'1'}, {5}), 'default', 'keep');
    whole = voxfeed.Sampler(study([8 7 6]));
    labels = started(voxfeed.Loader(whole), 0).next().get('labels');
    found = started(voxfeed.Loader(whole, 'transform', lookup), 0).next().get('labels');
    assert(any(labels(:) == 1) && isequal(found, labels + 4 * (labels == 1)));
    must_raise('argument', @() voxfeed.Transform(struct('name', 'blur', 'category', 'images')), 'blur');
    must_raise('argument', @() voxfeed.Transform('{'));
    must_raise('argument', @() voxfeed.Transform(5), 'steps');
    must_raise('argument', @() voxfeed.Transform({5}));
end

function numbers_of_every_class_are_said_exactly()
    voxels = @(step) voxels_of(loader_of('categories', 'labels', 'transform', step));
    step = struct('name', 'lookup', 'category', 'labels', 'default', 'keep');
    stored = voxels_of(loader_of('categories', 'labels'));
    expected = stored;
    expected(stored == 1) = 5;
    for map = {containers.Map({'1'}, {5}), containers.Map(1, 5), containers.Map(int32(1), int8(5)), ...
            containers.Map('KeyType', 'double', 'ValueType', 'any')}
        map = map{1}; %#ok<FXSET>
        if map.Count == 0
            map(1) = single(5); %#ok<NASGU>
        end
        step.map = map;
        assert(isequal(voxels(step), expected));
    end
    scale = @(slope) voxels_of(loader_of('categories', struct('name', 'images', 'dtype', 'f32'), 'transform', ...
        struct('name', 'scale', 'category', 'images', 'slope', slope)));
    assert(isequal(scale(single(0.1)), scale(double(single(0.1)))) && ~isequal(scale(single(0.1)), scale(1)));
    must_raise('argument', @() scale(Inf), 'a step', 'finite');
    must_raise('argument', @() scale(@sin), 'a step', 'function_handle');
    must_raise('argument', @() voxfeed.Transform('zscore'), '''zscore''', 'struct');
    must_raise('argument', @() voxfeed.Transform(5), '5', 'struct');
    dataset = study();
    dataset.set_attribute(1, 'age', single(0.5));
    dataset.set_attribute(1, 'scores', struct('a', {{1, 'x', true}}));
    assert(dataset.attribute(1, 'age') == 0.5 && strcmp(dataset.attribute(1, 'scores').a{2}, 'x'));
    must_raise('argument', @() dataset.set_attribute(1, 'big', intmax('uint64')), '2^53');
end

function voxels = voxels_of(loader)
    loader.start(0);
    voxels = loader.next().get();
end

function a_state_continues_exactly_there()
    loader = loader_of('batch_size', 3, 'order', 'shuffled', 'seed', 9);
    whole = samples_of(started(loader, 2));
    loader.start(2);
    loader.next();
    text = loader.save_state();
    assert(ischar(text));
    rest = samples_of(loader);
    assert(isequal(rest, whole(4:end)));
    other = loader_of('batch_size', 2, 'order', 'shuffled', 'seed', 9, 'threads', 2);
    other.load_state(text);
    assert(isequal(samples_of(other), whole(4:end)));
    must_raise('argument', @() loader_of('batch_size', 3, 'order', 'shuffled', 'seed', 8).load_state(text), 'seed');
    must_raise('argument', @() other.load_state('nonsense'));
    must_raise('argument', @() other.load_state(5), 'state');
end

function a_timeout_loses_nothing()
    loader = loader_of('batch_size', 5, 'prefetch', 1);
    loader.start(0);
    held = {loader.next(), loader.next()};
    loader.start(1);
    began = tic;
    must_raise('timeout', @() loader.next(0.25), '0.25');
    assert(toc(began) >= 0.25 && toc(began) < 3);
    must_raise('timeout', @() loader.next(0), 'seconds');
    cellfun(@(batch) batch.release(), held);
    assert(numel(samples_of(loader)) == 10);
    for timeout = {-1, NaN, 'soon', [1 2], {}}
        must_raise('argument', @() loader.next(timeout{1}), 'timeout');
    end
end

function held_batches_are_warned_of()
    loader = loader_of('batch_size', 2, 'prefetch', 1);
    loader.start(0);
    held = {loader.next(), loader.next()}; %#ok<NASGU>
    lastwarn('');
    evalc('must_raise(''timeout'', @() loader.next(5.3))');
    assert(~isempty(strfind(lastwarn(), 'all 2 batches'))); %#ok<STREMP>
end

function cancelled_is_said()
    loader = started(loader_of(), 0);
    loader.cancel();
    must_raise('cancelled', @() loader.next());
    loader.start(0);
    assert(loader.next().length() == 1);
end

function close_ends_the_threads()
    loader = started(loader_of('batch_size', 2), 0);
    batch = loader.next();
    assert(loader.close(5) == true);
    assert(loader.close() == true);
    must_raise('handle', @() loader.next(), 'Loader is closed');
    must_raise('handle', @() loader.stats(), 'closed');
    must_raise('argument', @() loader.close(-1), 'timeout');
    assert(isequal(size(batch.get()), [4 3 2 1 2]));
end

function errors_of_samples_come_in_order()
    folder = scratch();
    for number = 1:3
        voxfeed.save_volume(fullfile(folder, sprintf('s%d.npy', number)), single(ones(6, 6, 6)));
    end
    dataset = voxfeed.Dataset(folder, 'io', 'positional');
    truncated = fullfile(folder, 's2.npy');
    file = fopen(truncated, 'w');
    fwrite(file, 'short');
    fclose(file);
    loader = started(voxfeed.Loader(voxfeed.Sampler(dataset)), 0);
    assert(subject_of(loader.next()) == 1);
    failure = must_raise_any({'io', 'format'}, @() loader.next());
    assert(~isempty(strfind(failure.message, 's2.npy')), failure.message); %#ok<STREMP>
    last = voxfeed.last_error();
    assert(last.sample == 2 && strcmp(last.path, truncated));
    assert(subject_of(loader.next()) == 3);
    assert(isempty(loader.next()) && loader.stats().errors == 1);
    stopped = started(voxfeed.Loader(voxfeed.Sampler(dataset), 'on_error', 'stop'), 0);
    stopped.next();
    must_raise_any({'io', 'format'}, @() stopped.next());
    assert(isempty(stopped.next()));
end

function subject = subject_of(batch)
    samples = batch.samples();
    subject = samples.subject;
end

function stats_count()
    loader = started(loader_of('batch_size', 4), 0);
    samples_of(loader);
    stats = loader.stats();
    assert(stats.batches == 3 && stats.samples == 10 && stats.errors == 0 && stats.held == 0 && stats.slots == 3);
    assert(stats.bytes == 10 * 24 * 3 && isa(stats.wait_ns, 'double'));
    assert(all(isfield(stats, {'waits', 'work_ns', 'idle_ns', 'slot_bytes', 'cache_hits', 'cache_misses', 'cache_bytes', ...
        'scratch_bytes', 'pinned_bytes', 'device_bytes', 'uploads', 'upload_bytes', 'event_waits'})));
end

function a_lost_batch_is_given_again()
    % As when an interrupt comes between the MEX and the object that is to have the batch.
    loader = started(loader_of('batch_size', 4), 0);
    [word, number] = voxfeed.internal.call('loader_next', loader.own_number(), 5);
    assert(strcmp(word, 'ok') && isa(number, 'uint64'));
    must_raise('state', @() loader.save_state(), 'next()');
    assert(isequal([samples_of(loader).index], 1:10));
    must_raise('handle', @() voxfeed.Batch(number), 'closed');
    loader.start(0);
    voxfeed.internal.call('loader_next', loader.own_number(), 5);
    loader.start(1);
    assert(loader.stats().held == 0 && isequal([samples_of(loader).index], 1:10));
end

function a_big_seed_stays_exact()
    seeds = {intmax('uint64'), intmax('uint64') - 1};
    found = cellfun(@(seed) samples_of(started(loader_of('order', 'shuffled', 'seed', seed), 0)), seeds, 'UniformOutput', false);
    assert(~isequal(found{1}, found{2}));
    must_raise('argument', @() loader_of('seed', 2^60), 'uint64');
end

function the_example_runs()
    folder = scratch();
    mkdir(fullfile(folder, 'a'));
    voxfeed.save_volume(fullfile(folder, 'a', 'T1.nii.gz'), int16(100 * rand(40, 36, 34)));
    voxfeed.save_volume(fullfile(folder, 'a', 'seg.nii.gz'), uint8(ones(40, 36, 34)));
    addpath(getenv('VXF_EXAMPLES'));
    said = evalc('first_loop(folder)');
    assert(numel(strfind(said, '[32 32 32 1 4]')) == 4, said);
end
