/* Samples as structs: numbers and axes from 1, lists of axes fastest first. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <string.h>

#include "face.h"

/* The largest whole number up to which a double skips none. */
#define MOST_EXACT (INT64_C(1) << 53)

static const char *const NAMES[] = {"index", "subject", "epoch", "position", "repeated", "thin_axis",
                                    "offset", "shape", "valid_offset", "valid_shape"};

#define NAME_COUNT ((int)(sizeof NAMES / sizeof NAMES[0]))

mxArray *samples_given(const vxf_sample *samples, size_t count)
{
    mxArray *given = mxCreateStructMatrix(1, count, NAME_COUNT, (const char **)NAMES);
    size_t at;
    for (at = 0; at < count; at++) {
        const vxf_sample *one = &samples[at];
        double thin_axis = one->thin_axis < 0 ? 0 : (double)one->ndim - (double)one->thin_axis;
        mxSetField(given, at, "index", mxCreateDoubleScalar((double)one->index + 1));
        mxSetField(given, at, "subject", mxCreateDoubleScalar((double)one->subject + 1));
        mxSetField(given, at, "epoch", mxCreateDoubleScalar((double)one->epoch));
        mxSetField(given, at, "position", mxCreateDoubleScalar((double)one->position + 1));
        mxSetField(given, at, "repeated", mxCreateLogicalScalar((one->flags & VXF_SAMPLE_REPEATED) != 0));
        mxSetField(given, at, "thin_axis", mxCreateDoubleScalar(thin_axis));
        mxSetField(given, at, "offset", axes_given(one->offset, one->ndim));
        mxSetField(given, at, "shape", axes_given(one->shape, one->ndim));
        mxSetField(given, at, "valid_offset", axes_given(one->valid_offset, one->ndim));
        mxSetField(given, at, "valid_shape", axes_given(one->valid_shape, one->ndim));
    }
    return given;
}

static const mxArray *part(const mxArray *given, size_t at, const char *name)
{
    const mxArray *value = mxGetField(given, at, name);
    if (value == NULL)
        fail("argument", "a sample lacks %s: give what batch.samples() gave", name);
    return value;
}

static void axes_read(const mxArray *given, size_t at, const char *name, size_t ndim, int64_t *out)
{
    if (axes_of(part(given, at, name), name, INT64_MIN, out) != ndim)
        fail("argument", "a sample's %s has other axes than its offset", name);
}

vxf_sample *samples_of(const mxArray *given, size_t *count)
{
    vxf_sample *samples;
    size_t at;
    if (!mxIsStruct(given))
        fail("argument", "samples is %s, expected what batch.samples() gave", described(given));
    *count = mxGetNumberOfElements(given);
    samples = mxCalloc(*count + 1, sizeof *samples);
    for (at = 0; at < *count; at++) {
        vxf_sample *one = &samples[at];
        uint64_t thin_axis;
        one->index = unsigned_of(part(given, at, "index"), "a sample's index", 1, MOST_EXACT) - 1;
        one->subject = unsigned_of(part(given, at, "subject"), "a sample's subject", 1, MOST_EXACT) - 1;
        one->epoch = unsigned_of(part(given, at, "epoch"), "a sample's epoch", 0, MOST_EXACT);
        one->position = unsigned_of(part(given, at, "position"), "a sample's position", 1, MOST_EXACT) - 1;
        if (unsigned_of(part(given, at, "repeated"), "a sample's repeated", 0, 1) == 1)
            one->flags = VXF_SAMPLE_REPEATED;
        one->ndim = (uint32_t)axes_of(part(given, at, "offset"), "offset", INT64_MIN, one->offset);
        thin_axis = unsigned_of(part(given, at, "thin_axis"), "a sample's thin_axis", 0, one->ndim);
        one->thin_axis = thin_axis == 0 ? -1 : (int64_t)(one->ndim - thin_axis);
        axes_read(given, at, "shape", one->ndim, one->shape);
        axes_read(given, at, "valid_offset", one->ndim, one->valid_offset);
        axes_read(given, at, "valid_shape", one->ndim, one->valid_shape);
    }
    return samples;
}

int64_t prediction_ndim(const vxf_sample *sample, bool keeps_thin_axis)
{
    bool is_dropped = sample->thin_axis >= 0 && !keeps_thin_axis;
    return 2 + (int64_t)sample->ndim - (is_dropped ? 1 : 0);
}
