function failure = must_raise(word, call, varargin)
    % Asserts that call() raises voxfeed:<word>, and that its text has all of the words that follow.
    failure = [];
    try
        call();
    catch failure
    end
    assert(~isempty(failure), 'nothing was raised, expected voxfeed:%s', word);
    assert(strcmp(failure.identifier, ['voxfeed:', word]), 'raised %s (%s), expected voxfeed:%s', failure.identifier, ...
        failure.message, word);
    for part = varargin
        assert(~isempty(strfind(failure.message, part{1})), '"%s" does not say "%s"', failure.message, part{1}); %#ok<STREMP>
    end
end
