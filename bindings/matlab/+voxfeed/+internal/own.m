function number = own(object, noun)
    % The number of an object that is passed in, which must be a voxfeed.<noun>.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if ~isa(object, ['voxfeed.', noun])
        error('voxfeed:argument', 'a %s is given, expected a voxfeed.%s', class(object), noun);
    end
    number = object.own_number();
end
