/* Voxels in and out. The host lists the axes of the same bytes fastest first, and drops last axes of 1. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "face.h"

static const struct {
    vxf_dtype dtype;
    mxClassID class_id;
    size_t bytes;
} CLASSES[] = {
    {VXF_DTYPE_BOOL, mxLOGICAL_CLASS, 1}, {VXF_DTYPE_U8, mxUINT8_CLASS, 1},   {VXF_DTYPE_I8, mxINT8_CLASS, 1},
    {VXF_DTYPE_U16, mxUINT16_CLASS, 2},   {VXF_DTYPE_I16, mxINT16_CLASS, 2},  {VXF_DTYPE_U32, mxUINT32_CLASS, 4},
    {VXF_DTYPE_I32, mxINT32_CLASS, 4},    {VXF_DTYPE_U64, mxUINT64_CLASS, 8}, {VXF_DTYPE_I64, mxINT64_CLASS, 8},
    {VXF_DTYPE_F32, mxSINGLE_CLASS, 4},   {VXF_DTYPE_F64, mxDOUBLE_CLASS, 8}, {VXF_DTYPE_F16, mxSINGLE_CLASS, 2},
};

#define CLASS_COUNT (sizeof CLASSES / sizeof CLASSES[0])

void tensor_of(const mxArray *array, int64_t ndim, const char *what, vxf_tensor *out)
{
    const mwSize *extents = mxGetDimensions(array);
    int64_t given = (int64_t)mxGetNumberOfDimensions(array), at;
    size_t entry = 0;
    if (!(mxIsNumeric(array) || mxIsLogical(array)) || mxIsComplex(array) || mxIsSparse(array) || mxIsEmpty(array))
        fail("argument", "%s is %s, expected a full, real array of numbers or logicals that is not empty", what,
             described(array));
    while (entry < CLASS_COUNT && CLASSES[entry].class_id != mxGetClassID(array))
        entry++;
    if (entry == CLASS_COUNT)
        fail("argument", "%s is %s, which has no dtype", what, described(array));
    while (ndim > 0 && given > ndim && extents[given - 1] == 1)
        given--;
    if (ndim == 0)
        ndim = given;
    if (given > ndim || ndim > VXF_MAX_NDIM)
        fail("argument", "%s is %s, expected at most %" PRId64 " axes", what, described(array),
             ndim > VXF_MAX_NDIM ? (int64_t)VXF_MAX_NDIM : ndim);
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    out->dtype = CLASSES[entry].dtype;
    out->device = VXF_DEVICE_CPU;
    out->data = mxGetData(array);
    out->ndim = ndim;
    for (at = 0; at < ndim; at++)
        out->shape[ndim - 1 - at] = at < given ? (int64_t)extents[at] : 1;
}

void array_begin(array_result *result, vxf_dtype dtype, int64_t ndim, const int64_t *shape)
{
    mwSize extents[VXF_MAX_NDIM + 2] = {1, 1};
    uint64_t count = 1;
    size_t entry = 0;
    int64_t at;
    while (entry < CLASS_COUNT && CLASSES[entry].dtype != dtype)
        entry++;
    if (entry == CLASS_COUNT)
        fail("unsupported", "there is no class for the dtype %d", (int)dtype);
    for (at = 0; at < ndim; at++) {
        extents[ndim - 1 - at] = (mwSize)shape[at];
        if (shape[at] > 0 && count > (uint64_t)INT64_MAX / 8 / (uint64_t)shape[at])
            fail("memory", "an array of these extents is larger than any memory");
        count *= (uint64_t)shape[at];
    }
    memset(&result->tensor, 0, sizeof result->tensor);
    if (dtype == VXF_DTYPE_BOOL)
        result->array = mxCreateLogicalArray(ndim < 2 ? 2 : (mwSize)ndim, extents);
    else
        result->array =
            mxCreateUninitNumericArray(ndim < 2 ? 2 : (mwSize)ndim, extents, CLASSES[entry].class_id, mxREAL);
    result->tensor.struct_size = sizeof result->tensor;
    result->tensor.dtype = dtype;
    result->tensor.device = VXF_DEVICE_CPU;
    result->tensor.ndim = ndim;
    memcpy(result->tensor.shape, shape, (size_t)ndim * sizeof *shape);
    /* Halves are read into the array's second half, from where they can be widened in place. */
    result->tensor.data = (char *)mxGetData(result->array) + (dtype == VXF_DTYPE_F16 ? 2 * count : 0);
}

static float single_of(uint16_t half)
{
    int exponent = half >> 10 & 0x1f;
    int fraction = half & 0x3ff;
    double size;
    if (exponent == 31)
        size = fraction == 0 ? HUGE_VAL : nan("");
    else if (exponent == 0)
        size = ldexp(fraction, -24);
    else
        size = ldexp(1024 + fraction, exponent - 25);
    return (float)((half & 0x8000) != 0 ? -size : size);
}

mxArray *array_finish(array_result *result)
{
    if (result->tensor.dtype == VXF_DTYPE_F16) {
        size_t count = mxGetNumberOfElements(result->array), at;
        char *bytes = mxGetData(result->array);
        for (at = 0; at < count; at++) {
            uint16_t half;
            float single;
            memcpy(&half, bytes + 2 * count + 2 * at, sizeof half);
            single = single_of(half);
            memcpy(bytes + 4 * at, &single, sizeof single);
        }
    }
    return result->array;
}

void affine_of(const mxArray *array, double out[16])
{
    const void *numbers = mxGetData(array);
    size_t row, column;
    if (!(mxIsDouble(array) || mxIsSingle(array)) || mxIsComplex(array) || mxIsSparse(array) ||
        mxGetNumberOfDimensions(array) != 2 || mxGetM(array) != 4 || mxGetN(array) != 4)
        fail("argument", "affine is %s, expected 4x4 doubles", described(array));
    for (row = 0; row < 4; row++) {
        for (column = 0; column < 4; column++) {
            size_t from = 4 * (column < 3 ? 2 - column : 3) + row;
            out[4 * row + column] =
                mxIsDouble(array) ? ((const double *)numbers)[from] : ((const float *)numbers)[from];
        }
    }
}

mxArray *affine_given(const double affine[16])
{
    mxArray *given = mxCreateDoubleMatrix(4, 4, mxREAL);
    double *to = mxGetData(given);
    size_t row, column;
    for (row = 0; row < 4; row++) {
        for (column = 0; column < 4; column++)
            to[4 * (column < 3 ? 2 - column : 3) + row] = affine[4 * row + column];
    }
    return given;
}

void array_options_of(const mxArray *given, array_options *out)
{
    static const field FIELDS[] = {
        {"affine", FIELD_BY_HAND, 0, NULL, 0},
        {"ndim", FIELD_U32, offsetof(array_options, ndim), NULL, 0},
        {NULL, FIELD_U32, 0, NULL, 0},
    };
    const mxArray *affine;
    memset(out, 0, sizeof *out);
    options_read(FIELDS, given, 0, "an array", out);
    affine = option_value(given, 0, "affine");
    if (affine != NULL) {
        affine_of(affine, out->affine);
        out->has_affine = true;
    }
}
