function dtype = joint_dtype(dtypes)
    % The smallest dtype that holds all values of several: 'u8' and 'i8' give 'i16', 'i32' and 'f32' give 'f64'.

    % SPDX-License-Identifier: MIT OR Apache-2.0
    dtype = dtypes{1};
    for at = 2:numel(dtypes)
        dtype = voxfeed.internal.wider_dtype(dtype, dtypes{at});
    end
end
