function tests = test_library()
    tests = {@the_library_says_what_it_is, @the_last_error_can_be_asked_for, @choices_and_kinds_are_said, ...
        @an_unbuilt_mex_is_explained, @the_mex_takes_known_commands_only, @text_outside_of_ascii_is_kept};
end

function the_library_says_what_it_is()
    assert(~isempty(regexp(voxfeed.version(), '^\d+\.\d+\.\d+$', 'once')));
    info = voxfeed.build_info();
    assert(strcmp(info.version, voxfeed.version()));
    assert(isequal(info.abi, 0));
    assert(voxfeed.cuda_device_count() >= 0);
end

function the_last_error_can_be_asked_for()
    path = fullfile(scratch(), 'none.npy');
    must_raise('not_found', @() voxfeed.Dataset(path), 'none.npy');
    last = voxfeed.last_error();
    assert(strcmp(last.status, 'not_found'));
    assert(strcmp(last.path, path));
    assert(last.os_error == 2 && last.device_error == 0 && last.sample == 0);
    assert(~isempty(strfind(last.message, 'none.npy'))); %#ok<STREMP>
end

function choices_and_kinds_are_said()
    must_raise('argument', @() voxfeed.Dataset([], 'colour', 1), 'no option ''colour''', 'cache_bytes, orient');
    must_raise('argument', @() voxfeed.Dataset([], 'io', 'fast'), '''fast''', '''auto'', ''positional'', ''map''');
    must_raise('argument', @() voxfeed.Dataset([], 'io', 1), 'io is 1', '''auto''');
    must_raise('argument', @() voxfeed.Dataset([], 'io'), 'pairs');
    must_raise('argument', @() voxfeed.Dataset([], 1, 2), 'name');
    must_raise('argument', @() voxfeed.Dataset([], 'not a name', 2), 'not a name');
    must_raise('argument', @() voxfeed.Dataset([], 'io', 'map', 'io', 'map'), 'twice');
    must_raise('argument', @() voxfeed.Dataset([], 'cache_bytes', 1.5), 'cache_bytes is 1.5');
    must_raise('argument', @() voxfeed.Dataset([], 'cache_bytes', NaN), 'cache_bytes');
    must_raise('argument', @() voxfeed.Dataset([], 'cache_bytes', 2^60), 'uint64');
    must_raise('range', @() voxfeed.Dataset([], 'cache_bytes', -1), 'cache_bytes is -1');
    must_raise('argument', @() voxfeed.Dataset([], 'cache_bytes', [1 2]), 'one number');
    must_raise('argument', @() voxfeed.Dataset([], 'orient', {1}), 'orient');
    voxfeed.Dataset([], struct('io', 'map', 'cache_bytes', uint64(2)^40, 'orient', []));
end

function an_unbuilt_mex_is_explained()
    face = fullfile(fileparts(getenv('VXF_EXAMPLES')));
    text = said_by_octave(sprintf(['addpath(''%s''); try, voxfeed.version(); catch e, disp(e.identifier); ', ...
        'disp(e.message); end'], face));
    assert(~isempty(strfind(text, 'voxfeed:build')) && ~isempty(strfind(text, 'run build')), text); %#ok<STREMP>
end

function the_mex_takes_known_commands_only()
    must_raise('argument', @() voxfeed.internal.voxfeed_mex(), 'command');
    must_raise('argument', @() voxfeed.internal.voxfeed_mex(5), 'command');
    must_raise('argument', @() voxfeed.internal.voxfeed_mex('explode'), 'explode');
    must_raise('argument', @() voxfeed.internal.voxfeed_mex('version', 1), 'takes 0');
    must_raise('argument', @() voxfeed.internal.voxfeed_mex(['ab'; 'cd']), 'one row');
    must_raise('argument', @() voxfeed.internal.voxfeed_mex(['version', char(0)]), 'NUL');
end

function text_outside_of_ascii_is_kept()
    name = ['Sch', char([195 182]), 'n %s %d'];
    dataset = voxfeed.Dataset();
    dataset.add_subject(name);
    assert(strcmp(dataset.subject_id(1), name));
    dataset.add_array(name, name, name, single(ones(2, 3, 4)));
    categories = dataset.categories(1);
    assert(strcmp(categories.name, name) && isequal(categories.entries, {name}));
    must_raise('not_found', @() dataset.find('%s%n%d'), '%s%n%d');
end
