function run_tests(varargin)
    % Runs every test of every test_*.m beside it, or of those that are named, and ends the interpreter: 1 where any failed.
    names = varargin;
    if isempty(names)
        files = dir(fullfile(fileparts(mfilename('fullpath')), 'test_*.m'));
        names = cellfun(@(name) name(1:end - 2), {files.name}, 'UniformOutput', false);
    end
    passed = 0;
    failed = 0;
    for name = names
        for test = feval(name{1})
            try
                test{1}();
                passed = passed + 1;
            catch failure
                failed = failed + 1;
                fprintf('%s: %s\n    %s: %s\n', name{1}, func2str(test{1}), failure.identifier, failure.message);
                for at = 1:min(4, numel(failure.stack))
                    fprintf('    in %s, line %d\n', failure.stack(at).name, failure.stack(at).line);
                end
            end
            voxfeed.set_log([]);
        end
    end
    fprintf('%d passed, %d failed\n', passed, failed);
    exit(double(failed > 0));
end
