classdef Handle < handle
    % What all objects of voxfeed share: the number that stands for theirs in the MEX, and its end.
    % The property is not protected, as Octave refuses access to it after `clear functions` while objects live.

    % SPDX-License-Identifier: MIT OR Apache-2.0

    properties (Hidden, Transient)
        number = [];
    end

    methods
        function close(o)
            % Lets go of the object; what was made of it lives on. Again: nothing happens.
            voxfeed.internal.Handle.drop(o);
        end

        function delete(o)
            % Not close(), which some classes do their own way and which may wait.
            voxfeed.internal.Handle.drop(o);
        end

        function saved = saveobj(o) %#ok<STOUT>
            % An object belongs to its process and cannot be saved.
            error('voxfeed:state', ['a %s cannot be saved, as its memory belongs to this process: ', ...
                'save what it is made of, and make it anew'], class(o));
        end
    end

    methods (Hidden)
        function number = own_number(o)
            % The number for the MEX; an error where the object is closed.
            number = o.number;
            if isempty(number)
                error('voxfeed:handle', 'this %s is closed', class(o));
            end
        end
    end

    methods (Static, Hidden)
        function drop(o)
            % Lets go without waiting. The number goes first, so that an error here comes once.
            number = o.number;
            o.number = [];
            if ~isempty(number)
                voxfeed.internal.call('let_go', number);
            end
        end
    end
end
