/* Single values in and out: text, numbers, axes, streams. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "face.h"

/* The largest whole number up to which a double skips none. */
#define EXACT_DOUBLE 9007199254740992.0

const char *described(const mxArray *array)
{
    static char text[160];
    const mwSize *extents = mxGetDimensions(array);
    mwSize at, count = mxGetNumberOfDimensions(array);
    size_t used = 0;
    if (mxIsChar(array) && mxGetM(array) == 1 && count == 2) {
        char *given = mxArrayToString(array);
        snprintf(text, sizeof text, "'%.100s'", given == NULL ? "" : given);
        mxFree(given);
    } else if (mxIsDouble(array) && mxGetNumberOfElements(array) == 1 && !mxIsComplex(array) && !mxIsSparse(array)) {
        snprintf(text, sizeof text, "%.17g", *(const double *)mxGetData(array));
    } else if (mxIsUint64(array) && mxGetNumberOfElements(array) == 1 && !mxIsComplex(array)) {
        snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)mxGetData(array));
    } else {
        used = (size_t)snprintf(text, sizeof text, "a %s%s%s of ", mxIsSparse(array) ? "sparse " : "",
                                mxIsComplex(array) ? "complex " : "", mxGetClassName(array));
        for (at = 0; at < count && used < sizeof text; at++)
            used += (size_t)snprintf(text + used, sizeof text - used, at == 0 ? "%zu" : "x%zu", (size_t)extents[at]);
    }
    return text;
}

bool is_none(const mxArray *array)
{
    return mxIsDouble(array) && mxIsEmpty(array);
}

static size_t utf8_write(uint32_t point, char *to)
{
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        to[0] = (char)(0xc0 | point >> 6);
        to[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        to[0] = (char)(0xe0 | point >> 12);
        to[1] = (char)(0x80 | (point >> 6 & 0x3f));
        to[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | point >> 18);
    to[1] = (char)(0x80 | (point >> 12 & 0x3f));
    to[2] = (char)(0x80 | (point >> 6 & 0x3f));
    to[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* MATLAB's text is UTF-16, Octave's is bytes, of UTF-8 as a rule: the size of a character tells which. */
char *text_of(const mxArray *array, const char *what)
{
    size_t count = mxGetNumberOfElements(array), at, end = 0;
    const mxChar *from;
    char *text;
    if (!mxIsChar(array) || (count > 0 && (mxGetM(array) != 1 || mxGetNumberOfDimensions(array) != 2)))
        fail("argument", "%s is %s, expected text: one row of characters", what, described(array));
    from = mxGetChars(array);
    text = mxMalloc(3 * count + 1);
    for (at = 0; at < count; at++) {
        uint32_t unit = sizeof(mxChar) == 1 ? (unsigned char)from[at] : (uint16_t)from[at];
        if (unit == 0)
            fail("argument", "%s has a NUL inside", what);
        if (sizeof(mxChar) == 1) {
            text[end++] = (char)unit;
            continue;
        }
        if (unit >= 0xd800 && unit < 0xdc00 && at + 1 < count) {
            uint32_t low = (uint16_t)from[at + 1];
            if (low >= 0xdc00 && low < 0xe000) {
                unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                at++;
            }
        }
        end += utf8_write(unit, text + end);
    }
    text[end] = '\0';
    return text;
}

char *text_or_null(const mxArray *array, const char *what)
{
    return is_none(array) ? NULL : text_of(array, what);
}

mxArray *text_given(const char *text)
{
    const unsigned char *from = (const unsigned char *)text;
    mwSize extents[2] = {1, 0};
    uint16_t *units, *to;
    mxArray *given;
    if (sizeof(mxChar) == 1)
        return mxCreateString(text);
    units = to = mxMalloc((strlen(text) + 1) * sizeof *units);
    while (*from != 0) {
        int more = *from < 0x80 ? 0 : *from < 0xe0 ? 1 : *from < 0xf0 ? 2 : 3;
        uint32_t point = more == 0 ? *from : *from & (0x3fu >> more);
        for (from++; more > 0 && *from != 0; more--)
            point = point << 6 | (*from++ & 0x3f);
        if (point >= 0x10000) {
            *to++ = (uint16_t)(0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        *to++ = (uint16_t)point;
    }
    extents[1] = (mwSize)(to - units);
    given = mxCreateCharArray(2, extents);
    memcpy(mxGetChars(given), units, extents[1] * sizeof *units);
    mxFree(units);
    return given;
}

/* Reads a whole number as sign and size, which together hold every int64 and uint64. */
static bool whole_of(const mxArray *array, size_t at, bool *is_negative, uint64_t *size)
{
    int64_t integer;
    double number;
    if (mxIsComplex(array) || mxIsSparse(array) || at >= mxGetNumberOfElements(array))
        return false;
    switch (mxGetClassID(array)) {
    case mxLOGICAL_CLASS: integer = ((const mxLogical *)mxGetData(array))[at] ? 1 : 0; break;
    case mxINT8_CLASS: integer = ((const int8_t *)mxGetData(array))[at]; break;
    case mxUINT8_CLASS: integer = ((const uint8_t *)mxGetData(array))[at]; break;
    case mxINT16_CLASS: integer = ((const int16_t *)mxGetData(array))[at]; break;
    case mxUINT16_CLASS: integer = ((const uint16_t *)mxGetData(array))[at]; break;
    case mxINT32_CLASS: integer = ((const int32_t *)mxGetData(array))[at]; break;
    case mxUINT32_CLASS: integer = ((const uint32_t *)mxGetData(array))[at]; break;
    case mxINT64_CLASS: integer = ((const int64_t *)mxGetData(array))[at]; break;
    case mxUINT64_CLASS:
        *is_negative = false;
        *size = ((const uint64_t *)mxGetData(array))[at];
        return true;
    case mxSINGLE_CLASS:
    case mxDOUBLE_CLASS:
        number = mxIsDouble(array) ? ((const double *)mxGetData(array))[at] : ((const float *)mxGetData(array))[at];
        if (!(fabs(number) <= EXACT_DOUBLE) || floor(number) != number)
            return false;
        integer = (int64_t)number;
        break;
    default: return false;
    }
    *is_negative = integer < 0;
    *size = integer < 0 ? (uint64_t)0 - (uint64_t)integer : (uint64_t)integer;
    return true;
}

static void expect_one(const mxArray *array, const char *what)
{
    if (!(mxIsNumeric(array) || mxIsLogical(array)) || mxIsComplex(array) || mxIsSparse(array) ||
        mxGetNumberOfElements(array) != 1)
        fail("argument", "%s is %s, expected one number", what, described(array));
}

uint64_t unsigned_at(const mxArray *array, size_t at, const char *what, uint64_t low, uint64_t high)
{
    bool is_negative = false;
    uint64_t size = 0;
    if (!whole_of(array, at, &is_negative, &size))
        fail("argument", "%s is %s, expected a whole number (above 2^53 as a uint64)", what, described(array));
    if ((is_negative && size > 0) || size < low || size > high)
        fail("range", "%s is %s%" PRIu64 ", expected %" PRIu64 " to %" PRIu64, what, is_negative ? "-" : "", size,
             low, high);
    return size;
}

uint64_t unsigned_of(const mxArray *array, const char *what, uint64_t low, uint64_t high)
{
    expect_one(array, what);
    return unsigned_at(array, 0, what, low, high);
}

int64_t signed_at(const mxArray *array, size_t at, const char *what, int64_t low, int64_t high)
{
    bool is_negative = false;
    uint64_t size = 0;
    int64_t number;
    if (!whole_of(array, at, &is_negative, &size))
        fail("argument", "%s is %s, expected a whole number (above 2^53 as an int64)", what, described(array));
    number = is_negative ? -(int64_t)(size - 1) - 1 : (int64_t)size;
    if ((!is_negative && size > (uint64_t)INT64_MAX) || number < low || number > high)
        fail("range", "%s is %s%" PRIu64 ", expected %" PRId64 " to %" PRId64, what, is_negative ? "-" : "", size,
             low, high);
    return number;
}

int64_t signed_of(const mxArray *array, const char *what, int64_t low, int64_t high)
{
    expect_one(array, what);
    return signed_at(array, 0, what, low, high);
}

double double_of(const mxArray *array, const char *what)
{
    expect_one(array, what);
    return mxGetScalar(array);
}

int64_t nanoseconds_of(const mxArray *array, const char *what)
{
    double seconds = double_of(array, what);
    if (!(seconds >= 0))
        fail("argument", "%s is %g, expected seconds, 0 or more", what, seconds);
    return seconds > 9e9 ? -1 : (int64_t)(seconds * 1e9);
}

size_t axes_of(const mxArray *array, const char *what, int64_t low, int64_t *out)
{
    size_t count = mxGetNumberOfElements(array), at;
    if (!(mxIsNumeric(array) || mxIsLogical(array)) || count < 1 || count > VXF_MAX_AXES ||
        (mxGetM(array) != 1 && mxGetN(array) != 1) || mxGetNumberOfDimensions(array) != 2)
        fail("argument", "%s is %s, expected one number for each spatial axis, at most %d", what, described(array),
             VXF_MAX_AXES);
    for (at = 0; at < count; at++)
        out[count - 1 - at] = signed_at(array, at, what, low, INT64_MAX);
    return count;
}

mxArray *axes_given(const int64_t *axes, size_t count)
{
    mxArray *given = mxCreateDoubleMatrix(1, count, mxREAL);
    double *to = mxGetData(given);
    size_t at;
    for (at = 0; at < count; at++)
        to[at] = (double)axes[count - 1 - at];
    return given;
}

vxf_stream stream_of(const mxArray *array)
{
    bool is_negative = false;
    uint64_t size = 0;
    if (is_none(array))
        return NULL;
    expect_one(array, "stream");
    if (!whole_of(array, 0, &is_negative, &size) || (is_negative && size > 1) || size > UINTPTR_MAX)
        fail("argument", "stream is %s, expected the number of a CUDA stream: a uint64, or -1 for the host",
             described(array));
    return (vxf_stream)(is_negative ? UINTPTR_MAX : (uintptr_t)size);
}
