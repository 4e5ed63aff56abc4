function tests = test_golden()
    % One test for each case of cases.txt; tests/faces/golden.py says what its lines mean.
    lines = strsplit(fileread(fullfile(getenv('VXF_GOLDEN'), 'cases.txt')), sprintf('\n'));
    begins = find(strncmp(lines, 'case ', 5));
    ends = find(strcmp(lines, 'end'));
    assert(~isempty(begins) && numel(begins) == numel(ends));
    tests = cell(1, numel(begins));
    for at = 1:numel(begins)
        part = lines(begins(at):ends(at));
        tests{at} = @() check(part);
    end
end

function check(lines)
    groups = {'dataset', 'sampler', 'loader'};
    options = struct('dataset', struct(), 'sampler', struct(), 'loader', struct());
    categories = {};
    compared = 0;
    for at = 1:numel(lines)
        [word, rest] = strtok(lines{at});
        rest = strtrim(rest);
        if any(strcmp(word, groups))
            [name, value] = strtok(rest);
            options.(word).(name) = option_of(name, strtrim(value));
        elseif strcmp(word, 'category')
            categories{end + 1} = category_of(strsplit(rest, ' ')); %#ok<AGROW>
        elseif strcmp(word, 'data')
            path = fullfile(getenv('VXF_GOLDEN'), rest);
        elseif strcmp(word, 'transform')
            options.loader.transform = rest;
        elseif strcmp(word, 'epoch')
            epoch = str2double(rest);
        elseif strcmp(word, 'batches')
            count = str2double(rest);
        end
    end
    if ~isempty(categories)
        options.loader.categories = categories;
    end
    dataset = voxfeed.Dataset(path, options.dataset);
    if isfield(options.sampler, 'axes')
        categories_there = dataset.categories();
        info = dataset.volume_info(1, categories_there(1).name);
        options.sampler.axes = numel(info.shape) - options.sampler.axes;
    end
    loader = voxfeed.Loader(voxfeed.Sampler(dataset, options.sampler), options.loader);
    assert(loader.length() == count, '%s: %d batches, expected %d', lines{1}, loader.length(), count);
    batches = batches_of(loader, epoch);
    assert(numel(batches) == count);
    for at = 1:numel(lines)
        words = strsplit(lines{at}, ' ');
        if strcmp(words{1}, 'tensor')
            check_tensor(lines{1}, batches{str2double(words{2}) + 1}, words);
            compared = compared + 1;
        elseif strcmp(words{1}, 'sample')
            sample = batches{str2double(words{2}) + 1}.samples(str2double(words{3}) + 1);
            wanted = str2double(words(4:5)) + 1;
            assert(isequal([sample.index, sample.subject], wanted), '%s: %s', lines{1}, lines{at});
            assert(isequal(sample.offset, flip(numbers_of(words{6}))), '%s: %s', lines{1}, lines{at});
            compared = compared + 1;
        end
    end
    assert(compared > 0);
end

function batches = batches_of(loader, epoch)
    batches = {};
    loader.start(epoch);
    while true
        batch = loader.next();
        if isempty(batch)
            return
        end
        one = struct('samples', batch.samples(), 'names', {batch.categories()}, 'arrays', {{}}, 'shapes', {{}}, 'dtypes', {{}});
        for at = 1:numel(one.names)
            one.arrays{at} = batch.get(one.names{at});
            [one.shapes{at}, one.dtypes{at}] = batch.shape(one.names{at});
        end
        batch.release();
        batches{end + 1} = one; %#ok<AGROW>
    end
end

function check_tensor(name, batch, words)
    at = find(strcmp(batch.names, words{3}));
    assert(numel(at) == 1, '%s: no category %s', name, words{3});
    assert(strcmp(batch.dtypes{at}, words{4}), '%s: %s is %s, expected %s', name, words{3}, batch.dtypes{at}, words{4});
    assert(isequal(batch.shapes{at}, flip(numbers_of(words{5}))), '%s: shape of %s', name, words{3});
    array = batch.arrays{at};
    assert(numel(array) == prod(batch.shapes{at}));
    if strcmp(words{4}, 'f16')
        array = halves_of(array);
    elseif islogical(array)
        array = uint8(array);
    end
    digest = hash('sha256', char(typecast(array(:)', 'uint8')));
    assert(strcmp(digest, words{6}), '%s: batch %s, %s differs', name, words{2}, words{3});
end

function halves = halves_of(singles)
    % The bits of halves that singles hold exactly, of those that are 0 or normal.
    [fraction, exponent] = log2(double(abs(singles(:))));
    bits = 1024 * (exponent + 14) + 2048 * fraction - 1024;
    bits(singles(:) == 0) = 0;
    halves = uint16(bits + 32768 * (singles(:) < 0));
end

function numbers = numbers_of(text)
    numbers = cellfun(@str2double, strsplit(text, ','));
end

function value = option_of(name, text)
    value = numbers_of(text);
    if strcmp(name, 'entries')
        value = strsplit(text, ',');
    elseif any(isnan(value))
        value = text;
    elseif ~strcmp(name, 'axes')
        value = flip(value);
    end
end

function category = category_of(words)
    category = struct('name', words{1});
    for at = 2:numel(words)
        pair = strsplit(words{at}, '=');
        category.(pair{1}) = option_of(pair{1}, pair{2});
    end
end
