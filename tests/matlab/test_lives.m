function tests = test_lives()
    tests = {@children_keep_their_parents, @a_batch_outlives_its_loader, @closing_twice_is_nothing, @closed_objects_say_so, ...
        @retained_batches_are_released_one_by_one, @numbers_cannot_be_made_up, @objects_of_another_kind_are_refused, ...
        @cleared_objects_are_let_go_of, @a_batch_on_the_host_needs_no_stream, @objects_are_not_saved};
end

function loader = lonely_loader()
    % A loader whose sampler and dataset are gone.
    dataset = study();
    sampler = voxfeed.Sampler(dataset);
    dataset.close();
    loader = voxfeed.Loader(sampler);
    sampler.close();
end

function children_keep_their_parents()
    loader = lonely_loader();
    loader.start(0);
    assert(isequal(size(loader.next().get('images')), [8 7 6]));
    half = study();
    half = half.subset(2);
    assert(isequal(half.ids(), {'s2'}));
end

function a_batch_outlives_its_loader()
    loader = lonely_loader();
    loader.start(0);
    batch = loader.next();
    array = batch.get('images');
    volumes = voxfeed.Assembler(loader);
    loader.close();
    clear loader
    assert(isequal(batch.get('images'), array) && numel(batch.samples()) == 1);
    volumes.add(batch, array);
    batch.release();
    assert(isequal(volumes.take(1), single(array)));
end

function closing_twice_is_nothing()
    for object = all_objects()
        object{1}.close();
        object{1}.close();
        delete(object{1});
    end
end

function objects = all_objects()
    dataset = study();
    sampler = voxfeed.Sampler(dataset);
    loader = voxfeed.Loader(sampler);
    loader.start(0);
    objects = {dataset, sampler, voxfeed.Transform('[]'), loader, loader.next(), voxfeed.Assembler(loader), ...
        voxfeed.Writer(fullfile(scratch(), 'a.h5'))};
end

function closed_objects_say_so()
    objects = all_objects();
    for object = objects
        object{1}.close();
    end
    [dataset, sampler, transform, loader, batch, volumes, writer] = objects{:};
    array = ones(8, 7, 6);
    live = voxfeed.Sampler(study());
    calls = {@() dataset.length(), @() dataset.add_subject('x'), @() dataset.read(1, 'images'), @() dataset.preload(), ...
        @() dataset.evict(), @() dataset.splits(), @() dataset.set_split('a', 1), @() dataset.split('a'), @() dataset.subset(1), ...
        @() dataset.categories(), @() dataset.attribute(1, 'a'), @() dataset.attributes(1), @() dataset.ids(), ...
        @() dataset.find('a'), @() dataset.subject_id(1), @() dataset.volume_info(1, 'images'), ...
        @() dataset.add_array(1, 'images', 'x', array), @() dataset.add_file(1, 'images', 'x', 'y'), ...
        @() dataset.set_attribute(1, 'a', 1), @() voxfeed.Sampler(dataset), @() sampler.length(), @() sampler.get(1), ...
        @() voxfeed.Loader(sampler), @() voxfeed.Loader(live, 'transform', transform), @() loader.next(), @() loader.start(0), ...
        @() loader.length(), @() loader.each(0, @(batch) 1), @() loader.cancel(), @() loader.stats(), @() loader.save_state(), ...
        @() loader.load_state(''), @() voxfeed.Assembler(loader), @() batch.get(), @() batch.shape(), @() batch.samples(), ...
        @() batch.categories(), @() batch.length(), @() batch.retain(), @() batch.wait(), @() batch.record_stream(), ...
        @() batch.query(), @() batch.ready_event(), @() volumes.add(batch, array), @() volumes.add_samples(struct(), array), ...
        @() volumes.next_complete(), @() volumes.complete(), @() volumes.shape(1), @() volumes.coverage(1), ...
        @() volumes.take(1), @() volumes.save(1, 'a.nii'), @() writer.add_subject('a'), @() writer.finish(), ...
        @() writer.add_entry('a', 'b', array), @() writer.add_dataset(study())};
    for call = calls
        must_raise('handle', call{1}, 'is closed');
    end
end

function retained_batches_are_released_one_by_one()
    loader = lonely_loader();
    loader.start(0);
    batch = loader.next();
    other = batch.retain();
    batch.release();
    batch.release();
    assert(loader.stats().held == 1 && isequal(size(other.get()), [8 7 6]));
    clear other
    assert(loader.stats().held == 0);
end

function numbers_cannot_be_made_up()
    dataset = study();
    number = dataset.own_number();
    raw = @(given) voxfeed.internal.voxfeed_mex('dataset_length', given);
    assert(raw(number) == 2);
    edited = {number + 1, number - 1, number + uint64(2)^24, number + uint64(2)^56, uint64(0), intmax('uint64'), ...
        bitxor(number, uint64(2)^40), double(number), int64(number), [number number], NaN, Inf, -1, [], {}, 'x', ...
        struct(), true, @sin, complex(double(number), 1), sparse(1), zeros(1, 0, 'uint64')};
    for given = edited
        must_raise('handle', @() raw(given{1}));
    end
    path = fullfile(scratch(), 'number.mat');
    save('-binary', path, 'number');
    dataset.close();
    loaded = load(path);
    must_raise('handle', @() raw(loaded.number), 'make it anew');
    study();
    must_raise('handle', @() raw(loaded.number));
    for given = [edited(1:7), {number}]
        must_raise('handle', @() voxfeed.Batch(given{1}));
        voxfeed.internal.voxfeed_mex('let_go', given{1});
    end
    for given = edited(8:end)
        voxfeed.internal.voxfeed_mex('let_go', given{1});
    end
    must_raise('handle', @() voxfeed.Dataset(uint64(5)));
    loader = lonely_loader();
    loader.start(0);
    batch = loader.next();
    must_raise('handle', @() voxfeed.Batch(batch.own_number()), 'another object');
    assert(isequal(size(batch.get()), [8 7 6]));
end

function objects_of_another_kind_are_refused()
    objects = all_objects();
    commands = {'dataset_length', 'sampler_length', '', 'loader_length', 'batch_length', 'assembler_next_complete', 'writer_finish'};
    for at = 1:numel(objects)
        for other = 1:numel(objects)
            if at ~= other && ~isempty(commands{at})
                must_raise('handle', @() voxfeed.internal.call(commands{at}, objects{other}.own_number()), 'expected a');
            end
        end
    end
    must_raise('handle', @() voxfeed.internal.call('job_wait', objects{1}.own_number(), 1), 'job');
end

function cleared_objects_are_let_go_of()
    loader = lonely_loader();
    loader.start(0);
    batch = loader.next();
    assert(loader.stats().held == 1 && batch.length() == 1);
    clear batch
    assert(loader.stats().held == 0);
    batch = loader.next(); %#ok<NASGU>
    batch = [];
    assert(isempty(batch) && loader.stats().held == 0);
end

function a_batch_on_the_host_needs_no_stream()
    loader = lonely_loader();
    loader.start(0);
    batch = loader.next();
    for stream = {0, 1, uint64(2), -1, intmax('uint64'), []}
        batch.wait(stream{1});
        batch.record_stream(stream{1});
    end
    batch.wait();
    batch.record_stream();
    assert(batch.query() == true);
    must_raise('unsupported', @() batch.ready_event());
    [~, dtype, device] = batch.shape('images');
    assert(strcmp(dtype, 'i16') && strcmp(device, 'cpu'));
    for stream = {'x', 1.5, NaN, -2, {}, [1 2], @sin}
        must_raise('argument', @() batch.wait(stream{1}), 'stream');
        must_raise('argument', @() batch.record_stream(stream{1}), 'stream');
    end
end

function objects_are_not_saved()
    for object = all_objects()
        must_raise('state', @() object{1}.saveobj(), 'cannot be saved');
    end
end
