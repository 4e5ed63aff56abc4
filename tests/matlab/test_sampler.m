function tests = test_sampler()
    tests = {@whole_volumes_are_the_default, @slices_follow_the_axes, @a_grid_has_its_options, ...
        @rows_of_slices_lack_the_thin_axis, @uniform_patches_follow_the_seed, @unused_options_are_refused, @numbers_of_axes_are_checked, @samples_are_numbered_from_one};
end

function whole_volumes_are_the_default()
    sampler = voxfeed.Sampler(study([8 7 6], [3 4 5]));
    assert(sampler.length() == 2 && length(sampler) == 2);
    sample = sampler.get(2);
    assert(sample.index == 2 && sample.subject == 2 && isequal(sample.offset, [0 0 0]) && isequal(sample.shape, [3 4 5]));
    assert(sample.thin_axis == 0 && ~sample.repeated);
end

function slices_follow_the_axes()
    dataset = study([8 7 6]);
    sampler = voxfeed.Sampler(dataset, 'kind', 'slices');
    assert(sampler.length() == 6);
    sample = sampler.get(4);
    assert(sample.thin_axis == 3 && isequal(sample.offset, [0 0 3]) && isequal(sample.shape, [8 7 1]));
    sampler = voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', [1 2]);
    assert(sampler.length() == 8 + 7);
    assert(sampler.get(1).thin_axis == 1 && isequal(sampler.get(8).offset, [7 0 0]));
    assert(sampler.get(9).thin_axis == 2 && isequal(sampler.get(15).offset, [0 6 0]));
    for axes = {0, 4, 1.5, NaN, 'x', {1}}
        must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', axes{1}), 'from 1 to 3');
    end
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'slices', 'axes', [1 1]));
end

function a_grid_has_its_options()
    dataset = study([10 7 6]);
    count = @(varargin) voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [4 7 3], varargin{:}).length();
    assert(count() == 4);
    assert(count('border', 'pad') == 6 && count('border', 'clip') == 6 && count('border', 'shift') == 6);
    assert(count('stride', [2 7 3]) == 8);
    assert(count('overlap', [2 0 1]) == 8);
    clipped = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [4 0 3], 'border', 'clip').get(3);
    assert(isequal(clipped.offset, [8 0 0]) && isequal(clipped.shape, [2 7 3]));
    shifted = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [4 7 3], 'border', 'shift').get(3);
    assert(isequal(shifted.offset, [6 0 0]) && isequal(shifted.shape, [4 7 3]));
    padded = voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [4 7 3], 'border', 'pad').get(3);
    assert(isequal(padded.shape, [4 7 3]) && isequal(padded.valid_shape, [2 7 3]) && isequal(padded.valid_offset, [0 0 0]));
    assert(isequal(voxfeed.in_volume(padded), {9:10, 1:7, 1:3}) && isequal(voxfeed.in_row(padded), {1:2, 1:7, 1:3}));
    must_raise('argument', @() count('border', 'wall'), '''shift''');
end

function rows_of_slices_lack_the_thin_axis()
    for axis = 1:3
        slice = voxfeed.Sampler(study([10 7 6]), 'kind', 'slices', 'axes', axis).get(2);
        kept = {1:10, 1:7, 1:6};
        kept{axis} = 1;
        assert(isequal(voxfeed.in_row(slice, 'keep'), kept));
        kept(axis) = [];
        assert(isequal(voxfeed.in_row(slice), kept) && isequal(voxfeed.in_row(slice, 'drop'), kept));
    end
    must_raise('argument', @() voxfeed.in_row(slice, 'leave'), '''keep''');
end

function uniform_patches_follow_the_seed()
    sampler = voxfeed.Sampler(study([10 7 6]), 'kind', 'uniform', 'patch_shape', [4 3 2], 'samples_per_subject', 5);
    assert(sampler.length() == 5);
    assert(isequal(sampler.get(3, 'seed', 7, 'epoch', 2), sampler.get(3, 'seed', uint64(7), 'epoch', 2)));
    offsets = @(varargin) arrayfun(@(index) sum(sampler.get(index, varargin{:}).offset .* [1 100 10000]), 1:5);
    assert(~isequal(offsets('seed', 7), offsets('seed', 8)));
    assert(~isequal(offsets('seed', 7), offsets('seed', 7, 'epoch', 1)));
    assert(sampler.get(1, 'epoch', 3).epoch == 3);
    must_raise('argument', @() sampler.get(1, 'sed', 1), 'seed, epoch');
    assert(voxfeed.Sampler(study([10 7 6]), 'kind', 'uniform', 'patch_shape', [4 3 2]).length() == 1);
end

function unused_options_are_refused()
    dataset = study();
    must_raise('argument', @() voxfeed.Sampler(dataset, 'patch_shape', [2 2 2]), 'not given', '''whole''', 'patch_shape');
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'uniform', 'patch_shape', [2 2 2], 'border', 'pad'), 'border', 'grid');
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [2 2 2], 'samples_per_subject', 2), ...
        'samples_per_subject');
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'slices', 'overlap', [1 1 1]), 'overlap');
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'grid', 'patch_shape', [2 2 2], 'axes', 1), 'axes');
    must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'cubes'), '''uniform''');
    must_raise('argument', @() voxfeed.Sampler(dataset, 'sort', 'grid'), 'no option');
    assert(voxfeed.Sampler(dataset, 'kind', [], 'axes', []).length() == 2);
end

function numbers_of_axes_are_checked()
    dataset = study();
    for name = {'patch_shape', 'stride', 'overlap'}
        for value = {[2 2], 2, [1 2 3 4], 1:9}
            options = {'kind', 'grid', 'patch_shape', [2 2 2]};
            if strcmp(name{1}, 'patch_shape')
                options = options(1:2);
            end
            must_raise('argument', @() voxfeed.Sampler(dataset, options{:}, name{1}, value{1}), name{1}, '8 7 6');
        end
        must_raise('range', @() voxfeed.Sampler(dataset, 'kind', 'grid', name{1}, [2 -2 2]), name{1});
        must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'grid', name{1}, [2 2.5 2]), name{1});
        must_raise('argument', @() voxfeed.Sampler(dataset, 'kind', 'grid', name{1}, 'abc'), name{1});
    end
    must_raise('argument', @() voxfeed.Sampler(5), 'voxfeed.Dataset');
    must_raise('argument', @() voxfeed.Sampler(voxfeed.Sampler(dataset)), 'voxfeed.Dataset');
end

function samples_are_numbered_from_one()
    sampler = voxfeed.Sampler(study());
    must_raise('range', @() sampler.get(0), 'index is 0', '1 to 2');
    must_raise('range', @() sampler.get(3), 'index is 3');
    must_raise('argument', @() sampler.get(1.5), 'index');
    must_raise('argument', @() sampler.get([1 2]), 'index');
    must_raise('range', @() sampler.get(1, 'seed', -1), 'seed');
end
