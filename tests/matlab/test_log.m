function tests = test_log()
    tests = {@lines_wait_until_they_are_asked_for, @who_waits_for_a_batch_is_told, @what_raises_costs_no_line_and_no_batch, ...
        @levels_are_words, @lines_can_be_printed, @the_log_may_be_changed_inside};
end

function say_something()
    % Reads a volume whose index cannot be kept, as the folder for it is gone: one warning.
    folder = scratch();
    indexes = fullfile(folder, 'indexes');
    mkdir(indexes);
    voxfeed.save_volume(fullfile(folder, 'scan.nii.gz'), single(ones(4, 5, 6)));
    dataset = voxfeed.Dataset(fullfile(folder, 'scan.nii.gz'), 'seek_index', 'always', 'index_folder', indexes);
    rmdir(indexes);
    dataset.read(1, 'images');
end

function [told, lines] = listener()
    lines = containers.Map('KeyType', 'double', 'ValueType', 'any');
    told = @(level, line) add(lines, level, line);
end

function add(lines, level, line)
    lines(lines.Count + 1) = {level, line};
end

function lines_wait_until_they_are_asked_for()
    [told, lines] = listener();
    voxfeed.set_log(told);
    say_something();
    say_something();
    assert(lines.Count == 0);
    voxfeed.process_events();
    assert(lines.Count == 2);
    line = lines(1);
    assert(strcmp(line{1}, 'warning') && ~isempty(strfind(line{2}, 'its index is not kept'))); %#ok<STREMP>
    voxfeed.process_events();
    assert(lines.Count == 2);
    voxfeed.set_log([]);
    say_something();
    voxfeed.process_events();
    assert(lines.Count == 2);
end

function who_waits_for_a_batch_is_told()
    [told, lines] = listener();
    loader = voxfeed.Loader(voxfeed.Sampler(study()));
    voxfeed.set_log(told, 'warning');
    say_something();
    loader.start(0);
    loader.next();
    assert(lines.Count == 1);
end

function what_raises_costs_no_line_and_no_batch()
    [told, lines] = listener();
    voxfeed.set_log(@(level, line) raise(told, level, line));
    say_something();
    say_something();
    loader = voxfeed.Loader(voxfeed.Sampler(study()));
    loader.start(0);
    must_raise('state', @() loader.next(), 'index is not kept');
    must_raise('state', @() loader.next(), 'index is not kept');
    assert(lines.Count == 2);
    count = 0;
    while ~isempty(loader.next())
        count = count + 1;
    end
    assert(count == 2);
end

function raise(told, level, line)
    told(level, line);
    error('voxfeed:state', '%s', line);
end

function levels_are_words()
    [told, lines] = listener();
    voxfeed.set_log(told, 'error');
    say_something();
    voxfeed.process_events();
    assert(lines.Count == 0);
    must_raise('argument', @() voxfeed.set_log(told, 'loud'), '''error'', ''warning'', ''info''');
    must_raise('argument', @() voxfeed.set_log(told, 2), '''info''');
    must_raise('argument', @() voxfeed.set_log('aloud'), 'print');
    must_raise('argument', @() voxfeed.set_log(5), 'function handle');
end

function lines_can_be_printed()
    voxfeed.set_log('print');
    say_something();
    said = evalc('voxfeed.process_events()');
    assert(strncmp(said, 'voxfeed, warning: ', 18) && said(end) == sprintf('\n'));
end

function the_log_may_be_changed_inside()
    [told, lines] = listener();
    voxfeed.set_log(@(level, line) change(told, level, line));
    say_something();
    say_something();
    voxfeed.process_events();
    assert(lines.Count == 1);
end

function change(told, level, line)
    told(level, line);
    voxfeed.set_log([]);
end
