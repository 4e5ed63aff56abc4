function tests = test_dataset()
    tests = {@a_folder_is_opened, @a_dataset_is_built_of_arrays, @every_class_comes_back, @axes_and_affines_are_nibabels, ...
        @last_axes_of_one_can_be_said, @the_fourth_axis_is_the_channel, @attributes_are_values, @splits_and_subsets, ...
        @regions_are_read, @joint_dtypes_hold_all_values, @a_file_is_added, @preload_tells_its_progress, ...
        @arrays_of_no_voxels_are_refused, @an_empty_dataset_says_so, @subjects_are_checked, @the_options_do_something};
end

function a_folder_is_opened()
    dataset = voxfeed.Dataset(fullfile(getenv('VXF_GOLDEN'), 'study'));
    assert(dataset.length() == 3 && length(dataset) == 3);
    assert(isequal(dataset.ids(), {'sub-00', 'sub-01', 'sub-02'}));
    categories = dataset.categories();
    assert(isequal({categories.name}, {'images', 'labels'}));
    assert(isequal(categories(1).entries, {'T1', 'T2'}));
    info = dataset.volume_info('sub-01', 'images', 'T2');
    assert(strcmp(info.dtype, 'i16') && strcmp(info.value_dtype, 'i16') && strcmp(info.format, 'nifti'));
    assert(isequal(info.shape, [12 17 13]) && info.channels == 1 && islogical(info.has_affine) && info.has_affine);
    assert(isequal(info.spacing_mm, [1.5 2 3]));
    assert(isequal(info.affine, [1.5 0 0 10; 0 -2 0 -20; 0 0 3 30; 0 0 0 1]));
    assert(info.scale_slope == 1 && info.scale_intercept == 0);
    assert(~isempty(strfind(info.path, 'T2.nii'))); %#ok<STREMP>
end

function a_dataset_is_built_of_arrays()
    [dataset, volumes] = study([8 7 6], [5 4 3]);
    assert(dataset.find('s2') == 2);
    assert(isequal(dataset.read(2, 'images', 'entry', 'T1'), volumes{2}));
    assert(isequal(dataset.volume_info(2, 'images').shape, [5 4 3]));
    assert(isempty(dataset.volume_info(2, 'images').path) && ~dataset.volume_info(2, 'images').has_affine);
    must_raise('argument', @() dataset.add_subject('s1'), 's1');
    must_raise('argument', @() dataset.add_array(1, 'images', 'T1', volumes{1}), 'T1');
    must_raise('argument', @() dataset.add_array(1, 'images', 'T2', ones(2, 2, 2)));
    must_raise('argument', @() dataset.add_array(1, 'images', 'T2', volumes{1}, 'colour', 1), 'affine, ndim');
end

function every_class_comes_back()
    for class_name = {'logical', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64', 'single', 'double'}
        array = feval(class_name{1}, reshape(mod(1:24, 5), [4 3 2]) > 2);
        if ~strcmp(class_name{1}, 'logical')
            array = feval(class_name{1}, reshape(0:5:115, [4 3 2]));
        end
        dataset = voxfeed.Dataset();
        dataset.add_subject('a');
        dataset.add_array(1, 'images', 'x', array);
        found = dataset.read(1, 'images', 'entry', 'x');
        assert(strcmp(class(found), class_name{1}) && isequal(found, array), class_name{1});
        asked = dataset.read(1, 'images', 'entry', 'x', 'dtype', 'single');
        assert(strcmp(class(asked), 'single') && isequal(asked, single(array)));
    end
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    dataset.add_array(1, 'images', 'x', intmax('uint64') - uint64([1 2; 3 4]));
    assert(isequal(dataset.read(1, 'images', 'entry', 'x'), intmax('uint64') - uint64([1 2; 3 4])));
    dataset.add_subject('b');
    halves = single([0 1 -2.5; 65504 2^-24 -Inf]);
    dataset.add_array(2, 'images', 'x', halves);
    assert(isequal(dataset.read(2, 'images', 'entry', 'x', 'dtype', 'f16'), halves));
    must_raise('range', @() dataset.read(1, 'images', 'entry', 'x', 'dtype', 'i16'));
end

function axes_and_affines_are_nibabels()
    array = reshape(int16(1:60), [5 4 3]);
    affine = [0 0 4 1; -2 0 0 2; 0 3 0 3; 0 0 0 1];
    folder = scratch();
    for name = {'a.nii', 'a.nii.gz', 'a.h5'}
        path = fullfile(folder, name{1});
        voxfeed.save_volume(path, array, 'affine', affine);
        dataset = voxfeed.Dataset(path);
        info = dataset.volume_info(1, 'images');
        assert(isequal(info.shape, [5 4 3]), name{1});
        assert(max(abs(info.affine(:) - affine(:))) < 1e-5, name{1});
        assert(max(abs(info.spacing_mm - [2 3 4])) < 1e-6, name{1});
        assert(isequal(dataset.read(1, 'images'), array), name{1});
    end
    % The header of a NIfTI file lists the fastest axis first.
    file = fopen(fullfile(folder, 'a.nii'), 'r', 'ieee-le');
    fseek(file, 40, 'bof');
    assert(isequal(fread(file, 4, 'int16')', [3 5 4 3]));
    fclose(file);
    dataset = voxfeed.Dataset(fullfile(folder, 'a.nii'), 'orient', 'RAS');
    seen = dataset.volume_info(1, 'images');
    assert(isequal(seen.shape, [3 5 4]) && all(diag(seen.affine) > 0));
    assert(isequal(dataset.read(1, 'images'), flip(permute(array, [3 1 2]), 2)));
    built = voxfeed.Dataset();
    built.add_subject('a');
    built.add_array(1, 'images', 'x', array, 'affine', affine);
    assert(isequal(built.volume_info(1, 'images').affine, affine));
    must_raise('argument', @() built.add_array(1, 'images', 'y', array, 'affine', eye(3)), '4x4');
    must_raise('argument', @() built.add_array(1, 'images', 'y', array, 'affine', int8(eye(4))), '4x4');
end

function last_axes_of_one_can_be_said()
    dataset = voxfeed.Dataset();
    shapes = {};
    for ndim = [0 1 2 3 4]
        dataset.add_subject(sprintf('n%d', ndim));
        dataset.add_array(dataset.length(), 'images', 'x', single((1:5)'), 'ndim', ndim);
        shapes{end + 1} = dataset.volume_info(dataset.length(), 'images').shape; %#ok<AGROW>
    end
    assert(isequal(shapes, {[5 1], 5, [5 1], [5 1 1], [5 1 1]}));
    assert(isequal(dataset.read(2, 'images', 'entry', 'x'), single((1:5)')));
    must_raise('argument', @() dataset.add_array(1, 'images', 'y', ones(2, 3, 4), 'ndim', 2), 'at most 2 axes');
    must_raise('argument', @() dataset.add_array(1, 'images', 'y', ones(2, 3, 4), 'ndim', 9), 'axes');
    folder = scratch();
    voxfeed.save_volume(fullfile(folder, 'one.nii'), single(ones(4, 3)), 'ndim', 3);
    assert(isequal(voxfeed.Dataset(fullfile(folder, 'one.nii')).volume_info(1, 'images').shape, [4 3 1]));
end

function the_fourth_axis_is_the_channel()
    array = reshape(single(1:120), [5 4 3 2]);
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    dataset.add_array(1, 'images', 'x', array);
    info = dataset.volume_info(1, 'images');
    assert(isequal(info.shape, [5 4 3]) && info.channels == 2);
    assert(isequal(dataset.read(1, 'images'), array));
    path = fullfile(scratch(), 'a.npy');
    voxfeed.save_volume(path, array);
    assert(voxfeed.Dataset(path).volume_info(1, 'images').channels == 2);
    other = voxfeed.Dataset();
    other.add_subject('a');
    other.add_file(1, 'images', 'last', path, 'channel', 'last');
    assert(other.volume_info(1, 'images').channels == 5);
    assert(isequal(other.volume_info(1, 'images').shape, [4 3 2]));
end

function attributes_are_values()
    dataset = study();
    dataset.set_attribute(1, 'age', 63);
    dataset.set_attribute('s1', 'side', 'left');
    dataset.set_attribute(1, 'a strange name', [1 2 3]);
    assert(isequal(dataset.attribute(1, 'age'), 63));
    assert(strcmp(dataset.attribute('s1', 'side'), 'left'));
    list = dataset.attribute(1, 'a strange name');
    assert(isequal(list(:)', [1 2 3]));
    all_of = dataset.attributes(1);
    assert(isequal(sort({all_of.name}), {'a strange name', 'age', 'side'}));
    assert(isequal(all_of(strcmp({all_of.name}, 'age')).value, 63));
    assert(isempty(dataset.attributes(2)));
    must_raise('not_found', @() dataset.attribute(1, 'height'), 'height');
    must_raise('range', @() dataset.set_attribute(3, 'age', 1), 'subject is 3');
end

function splits_and_subsets()
    dataset = study([4 4 4], [5 5 5], [6 6 6]);
    dataset.set_split('train', [3 1]);
    dataset.set_split('test', {'s2'});
    splits = dataset.splits();
    assert(isequal({splits.name}, {'train', 'test'}) || isequal({splits.name}, {'test', 'train'}));
    assert(isequal(splits(strcmp({splits.name}, 'train')).subjects, {'s3', 's1'}));
    assert(isequal(dataset.split('train').ids(), {'s3', 's1'}));
    must_raise('not_found', @() dataset.split('validation'), 'train');
    assert(isequal(dataset.subset([2 3]).ids(), {'s2', 's3'}));
    assert(isequal(dataset.subset({'s3', 1}).ids(), {'s3', 's1'}));
    assert(isequal(dataset.subset('s2').ids(), {'s2'}));
    assert(dataset.subset([]).length() == 0);
    must_raise('range', @() dataset.subset([1 4]), 'subject is 4', '1 to 3');
    must_raise('range', @() dataset.subset(0), 'subject is 0');
    must_raise('argument', @() dataset.subset([1 1]));
    must_raise('argument', @() dataset.set_split('x', 1.5));
    must_raise('argument', @() dataset.set_split('x', {[]}));
end

function regions_are_read()
    [dataset, volumes] = study([8 7 6]);
    volume = volumes{1};
    read = @(varargin) dataset.read(1, 'images', 'entry', 'T1', varargin{:});
    assert(isequal(read('offset', [2 3 1], 'shape', [4 2 3]), volume(3:6, 4:5, 2:4)));
    assert(isequal(read('offset', [2 3 1]), volume(3:8, 4:7, 2:6)));
    assert(isequal(read('shape', [0 2 0]), volume(:, 1:2, :)));
    outside = zeros(5, 7, 8, 'int16');
    outside(3:5, :, 1:6) = volume(1:3, :, :);
    assert(isequal(read('offset', [-2 0 0], 'shape', [5 7 8]), outside));
    assert(isequal(size(dataset.read(1, 'images')), [8 7 6]));
    must_raise('argument', @() read('offset', [1 2]), '3 whole numbers');
    must_raise('argument', @() read('offset', [1 2 NaN]), 'offset');
    must_raise('argument', @() read('shape', {1, 2, 3}), 'shape');
    must_raise('argument', @() read('colour', 1), 'entry, offset, shape, dtype');
    must_raise('range', @() read('shape', [1 2 -3]));
    must_raise('memory', @() read('shape', [2^40 2^40 2^40]));
    must_raise('not_found', @() dataset.read(1, 'images', 'entry', 'T7'), 'T1');
    must_raise('not_found', @() dataset.read(1, 'pictures'), 'images');
    must_raise('argument', @() dataset.read(1, 5));
end

function joint_dtypes_hold_all_values()
    pairs = {'u8', 'u8', 'u8'; 'bool', 'i16', 'i16'; 'u8', 'i8', 'i16'; 'u32', 'i8', 'i64'; 'u64', 'i8', 'f64'; ...
        'f32', 'i16', 'f32'; 'i32', 'f32', 'f64'; 'f16', 'u8', 'f16'; 'f16', 'i32', 'f64'; 'f32', 'f64', 'f64'};
    for at = 1:size(pairs, 1)
        assert(strcmp(voxfeed.internal.joint_dtype(pairs(at, 1:2)), pairs{at, 3}), strjoin(pairs(at, :)));
        assert(strcmp(voxfeed.internal.joint_dtype(pairs(at, [2 1])), pairs{at, 3}), strjoin(pairs(at, :)));
    end
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    dataset.add_array(1, 'images', 'x', uint8(200 * ones(3, 2, 2)));
    dataset.add_array(1, 'images', 'y', int8(-3 * ones(3, 2, 2)));
    found = dataset.read(1, 'images');
    assert(isa(found, 'int16') && isequal(size(found), [3 2 2 2]) && found(1) == 200 && found(end) == -3);
end

function a_file_is_added()
    folder = scratch();
    voxfeed.save_volume(fullfile(folder, 'a.npy'), single(ones(3, 4, 5)));
    voxfeed.save_volume(fullfile(folder, 'a.h5'), single(2 * ones(3, 4, 5)));
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    dataset.add_file(1, 'images', 'x', fullfile(folder, 'a.npy'));
    dataset.add_file(1, 'images', 'y', fullfile(folder, 'a.h5'), 'channel', 'none');
    assert(isequal(size(dataset.read(1, 'images')), [3 4 5 2]));
    must_raise('not_found', @() dataset.add_file(1, 'images', 'z', fullfile(folder, 'a.h5'), 'inner', '/nothing'), 'nothing');
    must_raise('argument', @() dataset.add_file(1, 'images', 'z', fullfile(folder, 'a.npy'), 'channel', 'middle'), '''first''');
    must_raise('not_found', @() dataset.add_file(1, 'images', 'z', fullfile(folder, 'b.npy')), 'b.npy');
end

function preload_tells_its_progress()
    folder = scratch();
    mkdir(fullfile(folder, 'images'));
    for number = 1:6
        voxfeed.save_volume(fullfile(folder, 'images', sprintf('s%d.nii.gz', number)), rand(20, 20, 20));
    end
    dataset = voxfeed.Dataset(folder);
    assert(dataset.preload() == true);
    dataset.evict();
    seen = containers.Map('KeyType', 'double', 'ValueType', 'any');
    assert(dataset.preload('threads', 1, 'progress', @(done, total) keep(seen, done, total) < 0) == true);
    assert(seen.isKey(6) && isequal(seen(6), 6));
    dataset.evict();
    seen.remove(seen.keys());
    stop_at_two = @(done, total) keep(seen, done, total) >= 2;
    assert(dataset.preload('threads', 1, 'progress', stop_at_two) == false);
    assert(~seen.isKey(6));
    dataset.evict();
    must_raise('state', @() dataset.preload('progress', @(done, total) error('voxfeed:state', 'enough')), 'enough');
    assert(dataset.preload('progress', @(done, total) dataset.evict()) == true);
    must_raise('argument', @() dataset.preload('progress', 'often'), 'function handle');
    must_raise('argument', @() dataset.preload('colour', 1), 'threads, progress');
    must_raise('range', @() dataset.preload('threads', -1), 'threads');
    small = voxfeed.Dataset(folder, 'cache_bytes', 1000);
    must_raise('limit', @() small.preload(), 'cache_bytes');
    % A dataset that is let go of in its own progress lives as long as the work.
    given = {voxfeed.Dataset(folder)};
    assert(given{1}.preload('threads', 1, 'progress', @(done, total) given{1}.close()) == true);
    must_raise('handle', @() given{1}.length(), 'closed');
end

function count = keep(seen, done, total)
    seen(done) = total;
    count = done;
end

function arrays_of_no_voxels_are_refused()
    dataset = voxfeed.Dataset();
    dataset.add_subject('a');
    add = @(array) dataset.add_array(1, 'images', 'x', array);
    for array = {sparse(eye(3)), complex(ones(2, 2), 1), {1, 2}, [], 'text', struct('a', 1), @sin, zeros(0, 3), sparse(true)}
        must_raise('argument', @() add(array{1}), 'array is');
    end
    must_raise('argument', @() add(ones(2, 2, 2, 2, 2, 2, 2, 2, 2)), 'axes');
end

function an_empty_dataset_says_so()
    dataset = voxfeed.Dataset();
    assert(dataset.length() == 0 && isempty(dataset.ids()) && isempty(dataset.splits()));
    must_raise('range', @() dataset.categories(), 'no subject');
    must_raise('range', @() dataset.subject_id(1), 'no subject');
    must_raise('argument', @() voxfeed.Sampler(dataset));
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [2 2]));
    dataset.add_subject('a');
    assert(isempty(dataset.categories()));
    must_raise('not_found', @() dataset.read(1, 'images'));
    must_raise('not_found', @() voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', 1), 'no volume');
end

function subjects_are_checked()
    dataset = study();
    for subject = {0, 3, -1, uint64(3)}
        must_raise('range', @() dataset.subject_id(subject{1}), 'expected 1 to 2');
    end
    for subject = {1.5, NaN, Inf, [1 2], {1}, [], struct(), 1i, sparse(1), 2^60}
        must_raise('argument', @() dataset.subject_id(subject{1}), 'subject');
    end
    assert(strcmp(dataset.subject_id(int8(2)), 's2') && strcmp(dataset.subject_id(true), 's1'));
    must_raise('not_found', @() dataset.subject_id('s9'), 's9');
    must_raise('argument', @() dataset.find(1), 'id');
end

function the_options_do_something()
    folder = scratch();
    mkdir(fullfile(folder, 'a'));
    voxfeed.save_volume(fullfile(folder, 'a', 'T1.nii'), single(ones(4, 4, 4)), 'affine', eye(4));
    voxfeed.save_volume(fullfile(folder, 'a', 'T2.nii'), single(ones(4, 4, 4)), 'affine', diag([2 2 2 1]));
    must_raise('argument', @() voxfeed.Dataset(folder), 'T2');
    assert(voxfeed.Dataset(folder, 'geometry', 'shape').length() == 1);
    must_raise('argument', @() voxfeed.Dataset(folder, 'geometry', 'shape', 'orient', 'RAX'), 'RAX');
    for io = {'auto', 'positional', 'map'}
        assert(isequal(voxfeed.Dataset(folder, 'geometry', 'shape', 'io', io{1}).read(1, 'images', 'entry', 'T1'), ...
            single(ones(4, 4, 4))));
    end
    packed = fullfile(scratch(), 'x.nii.gz');
    voxfeed.save_volume(packed, single(rand(20, 20, 20)));
    voxfeed.Dataset(packed, 'seek_index', 'always').read(1, 'images');
    assert(exist([packed, '.vxfindex'], 'file') == 0);
    voxfeed.Dataset(packed, 'seek_index', 'always', 'index_place', 'beside').read(1, 'images');
    assert(exist([packed, '.vxfindex'], 'file') == 2);
    indexes = scratch();
    voxfeed.Dataset(packed, 'seek_index', 'never', 'index_folder', indexes).read(1, 'images');
    assert(numel(dir(fullfile(indexes, '*.vxfindex'))) == 0);
    voxfeed.Dataset(packed, 'seek_index', 'always', 'index_folder', indexes).read(1, 'images');
    assert(numel(dir(fullfile(indexes, '*.vxfindex'))) == 1);
    must_raise('not_found', @() voxfeed.Dataset(packed, 'index_folder', fullfile(indexes, 'none')), 'none');
end
