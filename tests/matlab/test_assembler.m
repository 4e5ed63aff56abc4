function tests = test_assembler()
    tests = {@volumes_come_back_exactly, @a_constant_stays_a_constant, @slices_come_back, @images_of_two_axes_go_all_the_way, ...
        @labels_are_the_largest_channel, ...
        @dropped_last_axes_are_understood, @kept_samples_can_be_added, @a_smaller_prediction_is_centred, ...
        @a_saved_result_is_opened_again, @what_is_incomplete_says_so, @wrong_predictions_change_nothing, ...
        @wrong_options_are_refused};
end

function volumes = predicted(loader, predict, varargin)
    % Adds predict(images) for an epoch.
    volumes = voxfeed.Assembler(loader, varargin{:});
    loader.each(0, @(batch) volumes.add(batch, predict(batch.get('images'))));
end

function volumes_come_back_exactly()
    [dataset, arrays] = study([11 7 6], [9 10 5]);
    sampler = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [5 4 3], 'overlap', [2 1 0], 'border', 'shift');
    for blend = {'last', 'mean', 'gaussian'}
        loader = voxfeed.Loader(sampler, 'batch_size', 3, 'categories', 'images', 'order', 'shuffled');
        volumes = predicted(loader, @(images) images, 'blend', blend{1}, 'accumulate', 'f64');
        subjects = volumes.complete();
        assert(isequal(sort(subjects), [1 2]) && isempty(volumes.complete()));
        for subject = subjects
            [extents, dtype] = volumes.shape(subject);
            assert(isequal(extents, [size(arrays{subject}), 1]) && strcmp(dtype, 'f32'));
            assert(volumes.coverage(subject) == 1);
            found = volumes.take(subject);
            assert(isa(found, 'single') && isequal(found, single(arrays{subject})), blend{1});
            must_raise('not_found', @() volumes.take(subject));
        end
        assert(isempty(volumes.next_complete()));
    end
end

function a_constant_stays_a_constant()
    dataset = study([11 7 6]);
    sampler = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [5 4 3], 'overlap', [2 1 1], 'border', 'shift');
    constant = @(images) 2.5 * ones([5 4 3 2 size(images, 5)]);
    for blend = {'mean', 'gaussian'}
        for sigma = [0 0.3]
            loader = voxfeed.Loader(sampler, 'batch_size', 2);
            volumes = predicted(loader, constant, 'blend', blend{1}, 'sigma', sigma, 'threads', 1);
            found = volumes.take(1);
            assert(isequal(size(found), [11 7 6 2]) && max(abs(found(:) - 2.5)) < 1e-5);
        end
    end
    % Weights do matter where predictions differ.
    ramp = @(images) repmat(single((1:5)'), [1 4 3 1 size(images, 5)]);
    take = @(varargin) take_of(sampler, ramp, varargin{:});
    assert(~isequal(take('blend', 'mean'), take('blend', 'gaussian')));
    assert(~isequal(take('blend', 'gaussian'), take('blend', 'gaussian', 'sigma', 0.5)));
    assert(isequal(take('blend', 'gaussian'), take('blend', 'gaussian', 'sigma', 0.125)));
    assert(isa(take('dtype', 'u8'), 'uint8'));
end

function found = take_of(sampler, predict, varargin)
    volumes = predicted(voxfeed.Loader(sampler), predict, varargin{:});
    found = volumes.take(1);
end

function slices_come_back()
    [dataset, arrays] = study([8 7 6]);
    for axis = 1:3
        for thin_axis = {'drop', 'keep'}
            sampler = voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', axis);
            for squeeze = 0:1
                for batch_size = [1 2 4]
                    loader = voxfeed.Loader(sampler, 'batch_size', batch_size, 'thin_axis', thin_axis{1}, ...
                        'categories', struct('name', 'images', 'squeeze_channel', squeeze));
                    volumes = voxfeed.Assembler(loader);
                    loader.each(0, @(batch) volumes.add(batch, with_channel(batch, squeeze)));
                    assert(isequal(volumes.take(1), single(arrays{1})));
                end
            end
        end
    end
end

function images = with_channel(batch, is_squeezed)
    extents = batch.shape('images');
    images = batch.get('images');
    if is_squeezed
        images = reshape(images, [extents(1:end - 1), 1, extents(end)]);
    end
end

function images_of_two_axes_go_all_the_way()
    array = reshape(single(1:77), [11 7]);
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    dataset.add_array(1, 'images', 'x', array);
    sampler = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [4 3], 'border', 'shift');
    loader = voxfeed.Loader(sampler, 'batch_size', 4);
    volumes = predicted(loader, @(images) images);
    assert(isequal(volumes.take(1), array));
    columns = voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', 1);
    assert(columns.length() == 11 && columns.get(3).thin_axis == 1);
    path = fullfile(scratch(), 'a.npy');
    voxfeed.save_volume(path, array);
    assert(isequal(voxfeed.Dataset(path).read(1, 'images'), array));
    assert(isequal(dataset.read(1, 'images', 'offset', [9 -1], 'shape', [0 3]), [zeros(2, 1), array(10:11, 1:2)]));
end

function labels_are_the_largest_channel()
    [dataset, arrays] = study([8 7 6]);
    sampler = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [4 7 3]);
    scores = @(images) cat(4, images < 0, images >= 0 & images < 500, images >= 500);
    volumes = predicted(voxfeed.Loader(sampler, 'batch_size', 2), scores, 'reduce', 'argmax');
    found = volumes.take(1);
    assert(isa(found, 'uint8') && isequal(size(found), [8 7 6]));
    assert(isequal(found, uint8(arrays{1} >= 0) + uint8(arrays{1} >= 500)));
end

function dropped_last_axes_are_understood()
    [dataset, arrays] = study([8 7 1]);
    loader = voxfeed.Loader(voxfeed.Sampler(dataset));
    volumes = voxfeed.Assembler(loader);
    loader.start(0);
    batch = loader.next();
    assert(isequal(size(batch.get('images')), [8 7]) && isequal(batch.shape('images'), [8 7 1 1]) || ...
        isequal(batch.shape('images'), [8 7 1 1 1]));
    volumes.add(batch, batch.get('images'));
    assert(isequal(volumes.take(1), single(arrays{1})));
end

function kept_samples_can_be_added()
    [dataset, arrays] = study([8 7 6]);
    sampler = voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', 2);
    loader = voxfeed.Loader(sampler, 'batch_size', 2, 'last_batch', 'pad');
    volumes = voxfeed.Assembler(loader);
    kept = {};
    loader.start(0);
    while true
        batch = loader.next();
        if isempty(batch), break; end
        kept(end + 1, :) = {batch.samples(), batch.get('images')}; %#ok<AGROW>
        batch.release();
    end
    for at = size(kept, 1):-1:1
        volumes.add_samples(kept{at, :});
    end
    assert(isequal(volumes.take(1), single(arrays{1})));
    samples = kept{1, 1};
    must_raise('argument', @() volumes.add_samples(5, kept{1, 2}), 'batch.samples');
    must_raise('argument', @() volumes.add_samples(samples, zeros(3, 9)), 'here the prediction is', '3x9');
    must_raise('argument', @() volumes.add_samples(rmfield(samples, 'offset'), kept{1, 2}), 'offset');
    must_raise('argument', @() volumes.add_samples(samples([]), kept{1, 2}), 'empty');
    for name = {'index', 'subject', 'epoch', 'position', 'repeated', 'thin_axis', 'offset', 'shape', 'valid_offset', 'valid_shape'}
        for value = {'x', NaN, {}, [], -2^40, 1:9, struct()}
            broken = samples;
            broken(1).(name{1}) = value{1};
            must_raise_any({'argument', 'range', 'state'}, @() volumes.add_samples(broken, kept{1, 2}));
        end
    end
end

function a_smaller_prediction_is_centred()
    [dataset, arrays] = study([8 7 6]);
    loader = voxfeed.Loader(voxfeed.Sampler(dataset));
    volumes = predicted(loader, @(images) images(2:end - 1, 2:end - 1, 2:end - 1));
    assert(abs(volumes.coverage(1) - 6 * 5 * 4 / (8 * 7 * 6)) < 1e-12);
    found = volumes.take(1);
    wanted = zeros(8, 7, 6, 'single');
    wanted(2:7, 2:6, 2:5) = arrays{1}(2:7, 2:6, 2:5);
    assert(isequal(found, wanted));
end

function a_saved_result_is_opened_again()
    folder = scratch();
    affine = [0 0 4 1; -2 0 0 2; 0 3 0 3; 0 0 0 1];
    array = reshape(int16(1:60), [5 4 3]);
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    dataset.add_array(1, 'images', 'x', array, 'affine', affine);
    for name = {'p.nii', 'p.nii.gz', 'p.npy', 'p.h5'}
        path = fullfile(folder, name{1});
        volumes = predicted(voxfeed.Loader(voxfeed.Sampler(dataset)), @(images) images);
        volumes.save(1, path);
        again = voxfeed.Dataset(path);
        assert(isequal(again.read(1, 'images'), single(array)), name{1});
        if ~strcmp(name{1}, 'p.npy')
            info = again.volume_info(1, 'images');
            assert(max(abs(info.affine(:) - affine(:))) < 1e-5, name{1});
        end
    end
    volumes = predicted(voxfeed.Loader(voxfeed.Sampler(dataset)), @(images) images);
    must_raise('argument', @() volumes.save(1, fullfile(folder, 'p.tiff')), 'p.tiff');
    must_raise('not_found', @() volumes.save(1, fullfile(folder, 'none', 'p.nii')));
    assert(isequal(volumes.take(1), single(array)));
end

function what_is_incomplete_says_so()
    dataset = study([8 7 6]);
    loader = voxfeed.Loader(voxfeed.Sampler(dataset, 'kind', 'slices'));
    volumes = voxfeed.Assembler(loader);
    assert(isempty(volumes.next_complete()) && isequal(size(volumes.complete()), [1 0]));
    must_raise('not_found', @() volumes.shape(1));
    loader.start(0);
    batch = loader.next();
    volumes.add(batch, batch.get('images'));
    must_raise('state', @() volumes.add(batch, batch.get('images')));
    must_raise('state', @() volumes.take(1), '5');
    must_raise('state', @() volumes.save(1, fullfile(scratch(), 'p.nii')));
    assert(abs(volumes.coverage(1) - 1 / 6) < 1e-12);
    found = volumes.take(1, 'partial');
    assert(any(any(found(:, :, 1))) && ~any(any(any(found(:, :, 2:end)))));
    must_raise('argument', @() volumes.take(1, 'half'), '''partial''');
    must_raise('argument', @() volumes.take(1, true), '''partial''');
    for subject = {0, -1, 2^60, 1.5, 'a', []}
        must_raise_any({'argument', 'range', 'state'}, @() volumes.coverage(subject{1}));
    end
end

function wrong_predictions_change_nothing()
    [dataset, arrays] = study([8 7 6]);
    loader = voxfeed.Loader(voxfeed.Sampler(dataset));
    volumes = voxfeed.Assembler(loader);
    loader.start(0);
    batch = loader.next();
    for prediction = {ones(7, 7, 6), ones(8, 7, 6, 1, 2), ones(8, 7), sparse(ones(8, 7)), complex(ones(8, 7, 6), 1), 'text', ...
            {}, [], @sin, ones(8, 7, 6, 1, 1, 2)}
        must_raise('argument', @() volumes.add(batch, prediction{1}));
    end
    must_raise('argument', @() volumes.add(5, ones(8, 7, 6)), 'voxfeed.Batch');
    must_raise('argument', @() volumes.add(loader, ones(8, 7, 6)), 'voxfeed.Batch');
    volumes.add(batch, batch.get('images'));
    assert(isequal(volumes.take(1), single(arrays{1})));
end

function wrong_options_are_refused()
    loader = voxfeed.Loader(voxfeed.Sampler(study()));
    make = @(varargin) voxfeed.Assembler(loader, varargin{:});
    must_raise('argument', @() make('blend', 'mix'), '''gaussian''');
    must_raise('argument', @() make('reduce', 1), '''argmax''');
    must_raise('argument', @() make('dtype', 'i16'));
    must_raise('argument', @() make('accumulate', 'u8'));
    must_raise('argument', @() make('sigma', 'wide'), 'sigma');
    must_raise('argument', @() make('sigma', -1));
    must_raise('range', @() make('threads', -1), 'threads');
    must_raise('range', @() make('device_bytes', -1), 'device_bytes');
    must_raise('argument', @() make('device_id', 5));
    must_raise('argument', @() make('blends', 'mean'), 'blend, reduce, dtype');
    must_raise('argument', @() voxfeed.Assembler(study()), 'voxfeed.Loader');
    if voxfeed.cuda_device_count() == 0
        must_raise('no_device', @() make('device', 'cuda'));
    end
end
