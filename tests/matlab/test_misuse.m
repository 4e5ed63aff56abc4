function tests = test_misuse()
    % What must not end the interpreter, each in an interpreter of its own, whose status tells.
    tests = {@exit_with_a_running_loader, @exit_with_everything_alive, @clear_all_with_live_objects, @the_mex_stays_locked, ...
        @exit_within_a_progress, @exit_within_a_listener, @an_error_at_the_top, @endless_loaders_at_the_end, @an_interrupted_wait, ...
        @an_interrupted_preload, @an_unfinished_file_is_removed_at_the_end, @any_arguments_of_any_command};
end

function text = must_end_with(status, code)
    begin = sprintf('addpath(''%s''); addpath(''%s'');\n', getenv('VXF_BUILD'), fileparts(mfilename('fullpath')));
    [text, found] = said_by_octave([begin, code]);
    assert(found == status, 'the status is %d, expected %d: %s', found, status, text);
    assert(isempty(regexp(text, 'panic|Segmentation|fatal|corrupt|double free|Aborted', 'once')), text);
end

function code = running_loader()
    code = ['loader = voxfeed.Loader(voxfeed.Sampler(study()), ''endless'', true); loader.start(0); ', ...
        'batch = loader.next(); '];
end

function exit_with_a_running_loader()
    must_end_with(7, [running_loader(), 'exit(7)']);
    must_end_with(0, running_loader());
end

function exit_with_everything_alive()
    must_end_with(7, [running_loader(), 'volumes = voxfeed.Assembler(loader); volumes.add(batch, batch.get(''images'')); ', ...
        'writer = voxfeed.Writer(fullfile(scratch(), ''a.h5'')); writer.add_subject(''x''); ', ...
        'voxfeed.set_log(@(level, line) disp(line)); global kept; kept = {batch, loader, volumes, writer}; exit(7)']);
end

function clear_all_with_live_objects()
    text = must_end_with(7, [running_loader(), 'clear all; disp(voxfeed.version()); ', running_loader(), ...
        'clear classes; clear functions; disp(voxfeed.version()); ', running_loader(), 'disp(batch.length()); exit(7)']);
    assert(numel(strfind(text, voxfeed.version())) == 2, text);
end

function the_mex_stays_locked()
    must_end_with(7, [running_loader(), 'clear mex; clear voxfeed.internal.voxfeed_mex; clear -f; ', ...
        'assert(isequal(size(batch.get(''images'')), [8 7 6])); exit(7)']);
end

function exit_within_a_progress()
    must_end_with(7, ['voxfeed.save_volume(fullfile(scratch(), ''a.nii.gz''), rand(20, 20, 20)); ', ...
        'dataset = study(); writer = voxfeed.Writer(fullfile(scratch(), ''a.h5'')); ', ...
        'writer.add_dataset(dataset, @(done, total) exit(7)); exit(1)']);
end

function exit_within_a_listener()
    must_end_with(7, ['voxfeed.set_log(@(level, line) exit(7)); folder = scratch(); ', ...
        'voxfeed.save_volume(fullfile(folder, ''a.nii.gz''), rand(9, 9, 9)); indexes = scratch(); ', ...
        'dataset = voxfeed.Dataset(fullfile(folder, ''a.nii.gz''), ''seek_index'', ''always'', ''index_folder'', indexes); ', ...
        'rmdir(indexes); dataset.read(1, ''images''); ', running_loader(), 'exit(1)']);
end

function an_error_at_the_top()
    text = must_end_with(1, [running_loader(), 'loader.start(-1)']);
    assert(~isempty(strfind(text, 'epoch is -1')), text); %#ok<STREMP>
end

function endless_loaders_at_the_end()
    must_end_with(7, ['for number = 1:20, ', running_loader(), 'kept{number} = {loader, batch}; end, exit(7)']);
end

function an_interrupted_wait()
    code = [running_loader(), 'held = {loader.next(), loader.next()}; ', interrupting(), ...
        'unwind_protect, loader.next(); unwind_protect_cleanup, printf(''held %d\n'', loader.stats().held); ', ...
        'end_unwind_protect'];
    text = interrupted(code);
    assert(~isempty(strfind(text, 'held 3')), text); %#ok<STREMP>
end

function an_interrupted_preload()
    code = ['folder = scratch(); for number = 1:9, voxfeed.save_volume(fullfile(folder, sprintf(''s%d.nii.gz'', number)), ', ...
        'rand(9, 9, 9)); end, dataset = voxfeed.Dataset(folder); ', interrupting(), ...
        'unwind_protect, dataset.preload(''progress'', @(done, total) pause(0.2)); ', ...
        'unwind_protect_cleanup, printf(''length %d\n'', dataset.length()); end_unwind_protect'];
    text = interrupted(code);
    assert(~isempty(strfind(text, 'length 9')), text); %#ok<STREMP>
end

function an_unfinished_file_is_removed_at_the_end()
    % Nobody but the MEX knows of this writer.
    folder = scratch();
    must_end_with(7, sprintf(['number = voxfeed.internal.call(''writer_create'', ''%s'', struct()); ', ...
        'voxfeed.internal.call(''writer_add_subject'', number, ''x''); assert(numel(dir(''%s'')) > 2); exit(7)'], ...
        fullfile(folder, 'a.h5'), folder));
    assert(numel(dir(folder)) == 2);
end

function any_arguments_of_any_command()
    % Every command with values by chance: each call gives a result or an error, and the interpreter lives.
    sources = dir(fullfile(fileparts(getenv('VXF_EXAMPLES')), 'src', '*.c'));
    commands = {};
    for source = sources'
        text = fileread(fullfile(fileparts(getenv('VXF_EXAMPLES')), 'src', source.name));
        commands = [commands, regexp(text, '\{"(\w+)", \w+, (\d), \d\}', 'tokens')]; %#ok<AGROW>
    end
    assert(numel(commands) > 60);
    before = cd(scratch());
    back = onCleanup(@() cd(before));
    dataset = study();
    dataset.set_split('train', 1);
    sampler = voxfeed.Sampler(dataset);
    loader = voxfeed.Loader(sampler);
    loader.start(0);
    batch = loader.next();
    volumes = voxfeed.Assembler(loader);
    writer = voxfeed.Writer('kept.h5');
    transform = voxfeed.Transform('[]');
    numbers = {dataset.own_number(), sampler.own_number(), loader.own_number(), batch.own_number(), ...
        volumes.own_number(), writer.own_number(), transform.own_number()};
    values = [numbers, {1, 2, 0, -1, 0.5, NaN, [1 2 3], [], 'images', 'T1', 's1', '', 'train', 'f32', 'complete', ...
        'x.nii', {}, {1}, {[]}, struct(), struct('a', {1, 2}), struct('entry', 1), true, single(3), int8(-3), ...
        ones(8, 7, 6), int16(ones(8, 7, 6)), sparse(1), complex(1, 1), @sin, batch.samples(), eye(4), uint64(5), ...
        intmax('uint64'), char([228 0]), ['ab'; 'cd'], zeros(0, 3), ones(2, 2, 2, 2, 2, 2, 2, 2, 2)}];
    rand('twister', 5);
    done = 0;
    for command = commands
        count = str2double(command{1}{2});
        for round = 1:40
            values_given = values(1 + floor(rand(1, count) * numel(values)));
            if count > 0 && round > 10
                values_given{1} = numbers{1 + floor(rand() * numel(numbers))};
            end
            if ~any(strcmp(command{1}{1}, {'let_go', 'loader_close', 'loader_cancel', 'writer_finish', 'set_log'}))
                try
                    voxfeed.internal.voxfeed_mex(command{1}{1}, values_given{:});
                    done = done + 1;
                catch failure
                    assert(strncmp(failure.identifier, 'voxfeed:', 8), '%s: %s', command{1}{1}, failure.message);
                end
            end
        end
    end
    assert(done > 50);
    assert(isequal(size(batch.get('images')), [8 7 6]) && dataset.length() >= 2);
end

function code = interrupting()
    code = 'system(sprintf(''(sleep 0.6; kill -INT %d) &'', getpid())); ';
end

function text = interrupted(code)
    begin = sprintf('addpath(''%s''); addpath(''%s'');\n', getenv('VXF_BUILD'), fileparts(mfilename('fullpath')));
    began = tic;
    [text, status] = said_by_octave([begin, code, sprintf('\nprintf(''not interrupted\\n'');')]);
    assert(toc(began) < 20 && isempty(strfind(text, 'not interrupted')), '%d: %s', status, text); %#ok<STREMP>
    assert(isempty(regexp(text, 'panic|Segmentation|fatal|corrupt|double free|Aborted', 'once')), text);
end
