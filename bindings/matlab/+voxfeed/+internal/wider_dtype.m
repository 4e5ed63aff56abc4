function dtype = wider_dtype(one, other)
    % The smallest dtype that holds all values of two.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    if strcmp(one, other) || strcmp(other, 'bool')
        dtype = one;
        return
    elseif strcmp(one, 'bool')
        dtype = other;
        return
    end
    bits = [sscanf(one(2:end), '%d'), sscanf(other(2:end), '%d')];
    letters = [one(1), other(1)];
    if any(letters == 'f')
        % A float holds integers of less than half of its bits, as numpy has it.
        wanted = bits;
        wanted(letters ~= 'f') = 2 * wanted(letters ~= 'f');
        dtype = sprintf('f%d', min(64, max(wanted)));
    elseif letters(1) == letters(2)
        dtype = sprintf('%s%d', letters(1), max(bits));
    else
        wanted = max(bits(letters == 'i'), 2 * bits(letters == 'u'));
        if wanted > 64
            dtype = 'f64';
        else
            dtype = sprintf('i%d', wanted);
        end
    end
end
