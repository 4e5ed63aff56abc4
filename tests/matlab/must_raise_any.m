function failure = must_raise_any(words, call)
    % Asserts that call() raises one of voxfeed:<word>.
    failure = [];
    try
        call();
    catch failure
    end
    assert(~isempty(failure), 'nothing was raised, expected one of %s', strjoin(words, ', '));
    assert(any(strcmp(failure.identifier, strcat('voxfeed:', words))), 'raised %s (%s), expected one of %s', ...
        failure.identifier, failure.message, strjoin(words, ', '));
end
