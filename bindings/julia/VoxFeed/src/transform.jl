# Transforms: what happens to the voxels of every sample.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
    Transform(steps)

A chain of steps that is applied to every sample in its row of the batch.

`steps` is a named tuple or dict, a list of them, or their JSON text, each with `name`, `category` and parameters:
`(name="window", category="images", low=-100, high=300)`. voxfeed.h lists the steps.

Errors: `err_argument` for an unknown step, key or value; the message says what is allowed.
"""
struct Transform <: Object
    handle::Handle{vxf_transform}

    Transform(handle::Handle{vxf_transform}) = new(handle)
end

function Transform(steps)
    json = steps isa AbstractString ? steps : json_text(steps, "a transform")
    return Transform(made(vxf_transform, vxf_transform_parse, text(json, "steps")))
end

transform_of(given) = given isa Transform ? given : Transform(given)
