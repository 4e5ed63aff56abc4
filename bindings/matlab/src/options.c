/* Structs of options, read by the tables that are generated from voxfeed.h. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <stdio.h>
#include <string.h>

#include "face.h"
#include "options.h"

/* The classes of the host that mean a dtype. */
static const choice CLASS_WORDS[] = {
    {"logical", VXF_DTYPE_BOOL}, {"uint8", VXF_DTYPE_U8},   {"int8", VXF_DTYPE_I8},   {"uint16", VXF_DTYPE_U16},
    {"int16", VXF_DTYPE_I16},    {"uint32", VXF_DTYPE_U32}, {"int32", VXF_DTYPE_I32}, {"uint64", VXF_DTYPE_U64},
    {"int64", VXF_DTYPE_I64},    {"single", VXF_DTYPE_F32}, {"double", VXF_DTYPE_F64}, {NULL, 0},
};

static const choice *word_named(const choice *words, const char *name)
{
    while (words->name != NULL && strcmp(words->name, name) != 0)
        words++;
    return words->name == NULL ? NULL : words;
}

const char *word_of(const choice *words, int32_t number)
{
    while (words->name != NULL && words->number != number)
        words++;
    return words->name == NULL ? "unknown" : words->name;
}

int32_t choice_of(const mxArray *array, const choice *words, const char *what)
{
    static char list[512];
    const choice *found = NULL;
    size_t used = 0;
    if (mxIsChar(array)) {
        char *name = text_of(array, what);
        found = word_named(words, name);
        if (found == NULL && words == dtype_words)
            found = word_named(CLASS_WORDS, name);
        mxFree(name);
    }
    if (found != NULL)
        return found->number;
    for (; words->name != NULL && used < sizeof list; words++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%s'", used == 0 ? "" : ", ", words->name);
    fail("argument", "%s is %s, expected %s", what, described(array), list);
}

static void field_read(const field *one, const mxArray *value, void *options)
{
    char *to = (char *)options + one->offset;
    int64_t axes[VXF_MAX_AXES] = {0};
    int32_t *order;
    size_t count, at;
    switch (one->kind) {
    case FIELD_CHOICE: *(int32_t *)to = choice_of(value, one->words, one->name); break;
    case FIELD_TEXT: *(const char **)to = text_of(value, one->name); break;
    case FIELD_U32: *(uint32_t *)to = (uint32_t)unsigned_of(value, one->name, 0, UINT32_MAX); break;
    case FIELD_U64: *(uint64_t *)to = unsigned_of(value, one->name, 0, UINT64_MAX); break;
    case FIELD_I32: *(int32_t *)to = (int32_t)signed_of(value, one->name, INT32_MIN, INT32_MAX); break;
    case FIELD_F64: *(double *)to = double_of(value, one->name); break;
    case FIELD_EXTENTS:
        axes_of(value, one->name, 0, axes);
        memcpy(to, axes, sizeof axes);
        break;
    case FIELD_AXES:
        count = axes_of(value, one->name, 0, axes);
        order = (int32_t *)to;
        for (at = 0; at < count; at++)
            order[at] = (int32_t)axes[count - 1 - at];
        *(uint32_t *)((char *)options + one->count_offset) = (uint32_t)count;
        break;
    case FIELD_BY_HAND: break;
    }
}

void options_read(const field *fields, const mxArray *given, size_t at, const char *noun, void *options)
{
    int count, number;
    if (!mxIsStruct(given) || at >= mxGetNumberOfElements(given))
        fail("argument", "the options of %s are %s, expected a struct", noun, described(given));
    count = mxGetNumberOfFields(given);
    for (number = 0; number < count; number++) {
        const char *name = mxGetFieldNameByNumber(given, number);
        const mxArray *value = mxGetFieldByNumber(given, at, number);
        const field *one = fields;
        static char list[512];
        size_t used = 0;
        while (one->name != NULL && strcmp(one->name, name) != 0)
            one++;
        if (one->name != NULL) {
            if (value != NULL && !is_none(value))
                field_read(one, value, options);
            continue;
        }
        for (one = fields; one->name != NULL && used < sizeof list; one++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used == 0 ? "" : ", ", one->name);
        fail("argument", "%s has no option '%s'; there are: %s", noun, name, list);
    }
}

const mxArray *option_value(const mxArray *given, size_t at, const char *name)
{
    const mxArray *value = mxGetField(given, at, name);
    return value == NULL || is_none(value) ? NULL : value;
}

mxArray *numbers_given(const field *fields, const void *numbers)
{
    mxArray *given = mxCreateStructMatrix(1, 1, 0, NULL);
    for (; fields->name != NULL; fields++) {
        const char *from = (const char *)numbers + fields->offset;
        double value = fields->kind == FIELD_U32 ? *(const uint32_t *)from : (double)*(const uint64_t *)from;
        int number = mxAddField(given, fields->name);
        mxSetFieldByNumber(given, 0, number, mxCreateDoubleScalar(value));
    }
    return given;
}
