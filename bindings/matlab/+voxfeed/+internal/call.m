function varargout = call(command, varargin)
    % Calls the MEX. Its errors are raised with their identifier and without the text that the host puts before.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    for at = 1:numel(varargin)
        if isa(varargin{at}, 'string')
            varargin{at} = voxfeed.internal.plain(varargin{at});
        end
    end
    try
        [varargout{1:nargout}] = voxfeed.internal.voxfeed_mex(command, varargin{:});
    catch failure
        text = regexprep(failure.message, '^(error: )?voxfeed_mex: ', '');
        identifier = failure.identifier;
        is_ours = strncmp(identifier, 'voxfeed:', 8);
        if ~is_ours && ~isempty(strfind(text, 'voxfeed_mex')) %#ok<STREMP>
            identifier = 'voxfeed:build';
            text = ['the MEX of voxfeed cannot be used: run build in the folder that holds +voxfeed once. The ', ...
                'reason: ', text];
        end
        error(struct('message', text, 'identifier', identifier, 'stack', failure.stack));
    end
end
