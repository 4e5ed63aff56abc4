function text = json(value, what)
    % The JSON text of a value: numbers, text, logicals, structs, lists, cells and containers.Map; what says in messages
    % whose value it is.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    text = jsonencode(voxfeed.internal.sayable(value, what));
end
