function build(varargin)
    % build(...): makes the MEX of voxfeed, with mex in MATLAB and with mkoctfile in Octave. It is done once.
    %
    % Then this folder goes on the path: addpath('<prefix>/share/voxfeed/matlab').
    % Options: prefix (where voxfeed is installed; the variable VXF_PREFIX says it too), library (the path of
    % libvoxfeed.so; the variable VXF_LIBRARY says it too), include (the folder of voxfeed.h), output (a folder that
    % gets a copy of the package with the MEX in it, and goes on the path in place of this one; by default the MEX
    % lies in this folder). Without options, an installed copy finds its own library, and a source checkout what
    % `cargo build --release` made.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    here = fileparts(mfilename('fullpath'));
    options = options_of(varargin);
    [library, include] = found(here, options);
    package = fullfile(here, '+voxfeed');
    if ~isempty(options.output)
        package = copied(package, options.output);
    end
    folder = fileparts(library);
    internal = fullfile(package, '+internal');
    product = ['voxfeed_mex.', mexext()];
    sources = dir(fullfile(here, 'src', '*.c'));
    sources = cellfun(@(name) fullfile(here, 'src', name), {sources.name}, 'UniformOutput', false);
    % Objects are made in the current folder, which need not be one to write to, and mkoctfile does not understand an
    % output with a space in its path.
    scratch = tempname();
    mkdir(scratch);
    before = cd(scratch);
    back = onCleanup(@() leave(before, scratch));
    if exist('OCTAVE_VERSION', 'builtin')
        [text, status] = mkoctfile('--mex', '-R2018a', '-O2', '-o', product, ['-I', include], sources{:}, ...
            ['-L', folder], '-lvoxfeed', ['-Wl,-rpath,', folder], '-lpthread');
        if status ~= 0
            error('voxfeed:build', 'mkoctfile failed: %s', text);
        end
    else
        mex('-R2018a', '-O', '-output', 'voxfeed_mex', ['-I', include], sources{:}, ...
            ['-L', folder], '-lvoxfeed', ['LDFLAGS=$LDFLAGS -Wl,-rpath,', folder], '-lpthread');
    end
    [is_done, why] = movefile(product, fullfile(internal, product));
    if ~is_done
        error('voxfeed:build', 'the MEX cannot be put into %s: give a folder of yours as the option output (%s)', ...
            internal, why);
    end
    clear back
    fprintf('voxfeed: %s, with %s\n', fullfile(internal, product), library);
end

function options = options_of(pairs)
    options = struct('prefix', '', 'library', '', 'include', '', 'output', '');
    if mod(numel(pairs), 2) ~= 0
        error('voxfeed:argument', 'options are pairs of a name and a value: prefix, library, include, output');
    end
    for at = 1:2:numel(pairs)
        name = char(pairs{at});
        if ~isfield(options, name)
            error('voxfeed:argument', 'build has no option ''%s''; there are: %s', name, ...
                strjoin(fieldnames(options)', ', '));
        end
        options.(name) = char(pairs{at + 1});
    end
    if isempty(options.prefix) && isempty(options.library)
        options.prefix = getenv('VXF_PREFIX');
        options.library = getenv('VXF_LIBRARY');
    end
end

function [library, include] = found(here, options)
    top = fileparts(fileparts(here));
    % An installed copy is <prefix>/share/voxfeed/matlab.
    prefix = fileparts(fileparts(fileparts(here)));
    if ~isempty(options.library)
        libraries = {options.library};
    elseif ~isempty(options.prefix)
        libraries = {fullfile(options.prefix, 'lib', 'libvoxfeed.so')};
    else
        libraries = {fullfile(prefix, 'lib', 'libvoxfeed.so'), fullfile(top, 'target', 'release', 'libvoxfeed.so')};
    end
    library = first_there(libraries, 'the shared library', 'library');
    if ~isempty(options.include)
        includes = {options.include};
    elseif ~isempty(options.prefix)
        includes = {fullfile(options.prefix, 'include')};
    else
        includes = {fullfile(prefix, 'include'), fullfile(top, 'include')};
    end
    header = first_there(cellfun(@(one) fullfile(one, 'voxfeed.h'), includes, 'UniformOutput', false), ...
        'the header', 'include');
    include = fileparts(header);
    % The first name is the linker's, the second is what the MEX asks for when it runs.
    for name = {'libvoxfeed.so', 'libvoxfeed.so.0'}
        if exist(fullfile(fileparts(library), name{1}), 'file') ~= 2
            error('voxfeed:build', 'beside %s there is no %s: make it a link to the library', library, name{1});
        end
    end
end

function path = first_there(paths, what, option)
    for at = 1:numel(paths)
        if exist(paths{at}, 'file') == 2
            path = make_absolute(paths{at});
            return
        end
    end
    error('voxfeed:build', '%s is in none of these places: %s. Give its place as the option %s, or prefix', what, ...
        strjoin(paths, ', '), option);
end

function path = make_absolute(path)
    [folder, name, ending] = fileparts(path);
    if isempty(folder)
        folder = '.';
    end
    before = cd(folder);
    folder = pwd();
    cd(before);
    path = fullfile(folder, [name, ending]);
end

function package = copied(package, output)
    if exist(output, 'dir') ~= 7
        mkdir(output);
    end
    copy = fullfile(output, '+voxfeed');
    if exist(copy, 'dir') == 7
        remove(copy);
    end
    [is_done, why] = copyfile(package, copy);
    if ~is_done
        error('voxfeed:build', 'the package cannot be copied to %s: %s', output, why);
    end
    package = make_absolute(copy);
end

function leave(folder, scratch)
    cd(folder);
    remove(scratch);
end

function remove(folder)
    if exist('OCTAVE_VERSION', 'builtin')
        % It would ask, where somebody could answer.
        confirm_recursive_rmdir(false, 'local');
    end
    rmdir(folder, 's');
end
