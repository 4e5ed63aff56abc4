function tests = test_writer()
    tests = {@a_dataset_goes_round, @entries_are_written, @a_file_appears_when_it_is_finished, @writing_tells_its_progress, ...
        @volumes_are_saved, @montages_are_saved, @our_hdf5_lives_beside_the_hosts};
end

function a_dataset_goes_round()
    [dataset, arrays] = study([8 7 6], [5 4 3]);
    path = fullfile(scratch(), 'brains.h5');
    writer = voxfeed.Writer(path);
    assert(writer.add_dataset(dataset) == true);
    writer.finish();
    again = voxfeed.Dataset(path);
    assert(isequal(again.ids(), {'s1', 's2'}));
    for subject = 1:2
        assert(isequal(again.read(subject, 'images', 'entry', 'T1'), arrays{subject}));
        assert(isequal(again.read(subject, 'labels', 'entry', 'GT'), uint8(arrays{subject} > 200)));
    end
    must_raise('argument', @() voxfeed.Writer(path), 'brains.h5');
    must_raise('argument', @() voxfeed.Writer(path, 'existing', 'keep'), '''replace''');
    writer = voxfeed.Writer(path, 'existing', 'replace');
    writer.add_dataset(dataset.subset(2));
    writer.finish();
    assert(isequal(voxfeed.Dataset(path).ids(), {'s2'}));
end

function entries_are_written()
    path = fullfile(scratch(), 'brains.hdf5');
    affine = [0 0 4 1; -2 0 0 2; 0 3 0 3; 0 0 0 1];
    array = reshape(single(1:60), [5 4 3]);
    writer = voxfeed.Writer(path);
    must_raise('state', @() writer.add_entry('images', 'T1', array));
    writer.add_subject('a');
    must_raise('argument', @() writer.add_subject('a'));
    writer.add_entry('images', 'T1', array, 'affine', affine);
    must_raise('argument', @() writer.add_entry('images', 'T2', array(:, :, 1)));
    writer.add_entry('images', 'T2', array + 1, 'affine', affine);
    must_raise('argument', @() writer.add_entry('images', 'T3', array, 'colour', 1), 'affine, ndim');
    writer.finish();
    must_raise('state', @() writer.finish());
    again = voxfeed.Dataset(path);
    assert(isequal(again.read(1, 'images'), cat(4, array, array + 1)));
    info = again.volume_info(1, 'images');
    assert(max(abs(info.affine(:) - affine(:))) < 1e-5);
end

function a_file_appears_when_it_is_finished()
    folder = scratch();
    path = fullfile(folder, 'brains.h5');
    writer = voxfeed.Writer(path);
    writer.add_dataset(study());
    assert(exist(path, 'file') == 0);
    writer.close();
    must_raise('handle', @() writer.finish(), 'closed');
    assert(exist(path, 'file') == 0 && numel(dir(folder)) == 2);
    must_raise('argument', @() voxfeed.Writer(fullfile(folder, 'brains.nii')), 'brains.nii');
    must_raise('argument', @() voxfeed.Writer(5), 'path');
    writer = voxfeed.Writer(path);
    must_raise('state', @() writer.finish());
    must_raise('argument', @() writer.add_dataset(5), 'voxfeed.Dataset');
end

function writing_tells_its_progress()
    dataset = study([4 4 4], [5 5 5], [6 6 6]);
    writer = voxfeed.Writer(fullfile(scratch(), 'brains.h5'));
    seen = containers.Map('KeyType', 'double', 'ValueType', 'any');
    assert(writer.add_dataset(dataset, @(done, total) keep(seen, done, total) < 0) == true);
    assert(seen.isKey(3) && seen(3) == 3);
    writer = voxfeed.Writer(fullfile(scratch(), 'brains.h5'));
    assert(writer.add_dataset(dataset, @(done, total) keep(seen, done, total) >= 1) == false);
    writer = voxfeed.Writer(fullfile(scratch(), 'brains.h5'));
    must_raise('argument', @() writer.add_dataset(dataset, @(done, total) error('voxfeed:argument', 'no')), 'no');
    writer = voxfeed.Writer(fullfile(scratch(), 'brains.h5'));
    must_raise('state', @() writer.add_dataset(dataset, @(done, total) writer.add_subject('x')), 'busy');
    writer = voxfeed.Writer(fullfile(scratch(), 'brains.h5'));
    must_raise('argument', @() writer.add_dataset(dataset, 5), 'function handle');
    must_raise('handle', @() writer.add_dataset(dataset, @(done, total) close_and_use(writer)), 'closed');
end

function close_and_use(writer)
    writer.close();
    writer.finish();
end

function count = keep(seen, done, total)
    seen(done) = total;
    count = done;
end

function volumes_are_saved()
    folder = scratch();
    array = reshape(uint8(1:60), [5 4 3]);
    for name = {'a.nii', 'a.nii.gz', 'a.npy', 'a.h5'}
        path = fullfile(folder, name{1});
        voxfeed.save_volume(path, array);
        assert(isequal(voxfeed.Dataset(path).read(1, 'images'), array), name{1});
        voxfeed.save_volume(path, array + 1);
        assert(isequal(voxfeed.Dataset(path).read(1, 'images'), array + 1), name{1});
    end
    must_raise('argument', @() voxfeed.save_volume(fullfile(folder, 'a.tiff'), array), 'a.tiff');
    must_raise('not_found', @() voxfeed.save_volume(fullfile(folder, 'none', 'a.nii'), array));
    must_raise('argument', @() voxfeed.save_volume(5, array), 'path');
    must_raise('argument', @() voxfeed.save_volume(fullfile(folder, 'a.nii'), {}), 'array');
    must_raise('argument', @() voxfeed.save_volume(fullfile(folder, 'a.nii'), array, 'affine', 1), '4x4');
end

function montages_are_saved()
    folder = scratch();
    array = single(rand(12, 10, 8));
    labels = uint8(array > 0.5);
    columns = {array, struct('volume', labels, 'title', 'truth', 'look', 'labels')};
    bytes_of = @(varargin) png_of(fullfile(folder, 'm.png'), varargin{:});
    plain = bytes_of(columns);
    assert(isequal(plain(2:4), 'PNG'));
    assert(isequal(plain, bytes_of(columns, 'axis', 3)) && ~isequal(plain, bytes_of(columns, 'axis', 1)));
    assert(~isequal(plain, bytes_of(columns, 'slices', 2)) && ~isequal(plain, bytes_of(columns, 'tile_pixels', 100)));
    assert(~isequal(plain, bytes_of(columns, 'affine', [0 0 4 1; -2 0 0 2; 0 3 0 3; 0 0 0 1])));
    assert(~isequal(plain, bytes_of({array, struct('volume', labels, 'look', 'labels')})));
    assert(~isequal(plain, bytes_of({array, struct('volume', labels, 'title', 'truth', 'look', 'grey')})));
    assert(isequal(bytes_of(array), bytes_of({array})));
    assert(isequal(bytes_of(struct('volume', {array, labels})), bytes_of({array, labels})));
    both = cat(4, array, 1 - array);
    assert(isequal(bytes_of(both), bytes_of(struct('volume', both, 'channel', 1))));
    assert(~isequal(bytes_of(both), bytes_of(struct('volume', both, 'channel', 2))));
    assert(numel(bytes_of(array(:, :, 1), 'ndim', 3)) > 0);
    for axis = {0, 4, 1.5, 'x'}
        must_raise_any({'argument', 'range'}, @() bytes_of(columns, 'axis', axis{1}));
    end
    must_raise('range', @() bytes_of(struct('volume', both, 'channel', 0)), 'channel is 0');
    must_raise('range', @() bytes_of(struct('volume', both, 'channel', 3)), '1 to 2');
    must_raise('argument', @() bytes_of({array, labels(:, :, 1:4)}));
    must_raise('argument', @() bytes_of({}), 'columns');
    must_raise('argument', @() bytes_of({[]}));
    must_raise('argument', @() bytes_of(struct('title', 'x')), 'volume');
    must_raise('argument', @() bytes_of(struct('volume', array, 'colour', 1)), 'volume, title, look, channel');
    must_raise('argument', @() bytes_of(struct('volume', array, 'look', 'blue')), '''grey''');
    must_raise('argument', @() bytes_of(array, 'colour', 1), 'axis, slices');
end

function bytes = png_of(path, varargin)
    voxfeed.montage(path, varargin{:});
    bytes = fileread(path);
end

function our_hdf5_lives_beside_the_hosts()
    folder = scratch();
    array = reshape(single(1:60), [5 4 3]);
    number = 5; %#ok<NASGU>
    save('-hdf5', fullfile(folder, 'host.h5'), 'number');
    voxfeed.save_volume(fullfile(folder, 'ours.h5'), array);
    dataset = voxfeed.Dataset(fullfile(folder, 'ours.h5'));
    found = load('-hdf5', fullfile(folder, 'host.h5'));
    assert(found.number == 5);
    assert(isequal(dataset.read(1, 'images'), array));
    save('-hdf5', fullfile(folder, 'host.h5'), 'array');
    assert(isequal(dataset.read(1, 'images'), array));
    found = load('-hdf5', fullfile(folder, 'host.h5'));
    assert(isequal(found.array, array));
    channels = voxfeed.Dataset(fullfile(getenv('VXF_GOLDEN'), 'channels.h5'));
    info = channels.volume_info(1, 'images');
    assert(isequal(info.shape, [8 9 7]) && info.channels == 3);
end
