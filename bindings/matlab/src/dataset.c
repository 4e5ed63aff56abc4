/* Datasets: opened, built, asked and read. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <string.h>

#include "face.h"

static vxf_dataset *dataset_of(const mxArray *number)
{
    return handle_of(number, KIND_DATASET)->object;
}

uint64_t subject_of(const vxf_dataset *dataset, const mxArray *given)
{
    uint64_t number, count;
    char *id;
    if (mxIsChar(given)) {
        id = text_of(given, "subject");
        check(vxf_dataset_find(dataset, id, &number));
        mxFree(id);
        return number;
    }
    check(vxf_dataset_len(dataset, &count));
    if (count == 0)
        fail("range", "the dataset has no subject");
    return unsigned_of(given, "subject", 1, count) - 1;
}

static void new_dataset(mxArray *out[], const mxArray *const in[])
{
    handle *place = handle_reserve();
    vxf_dataset_options options;
    vxf_dataset *made;
    char *path = text_or_null(in[0], "path");
    check(vxf_dataset_options_init(&options, sizeof options));
    options_read(dataset_fields, in[1], 0, "a Dataset", &options);
    out[0] = handle_number();
    check(path == NULL ? vxf_dataset_new(&options, &made) : vxf_dataset_open(path, &options, &made));
    handle_fill(place, KIND_DATASET, made, out[0]);
}

static void add_subject(mxArray *out[], const mxArray *const in[])
{
    uint64_t number;
    check(vxf_dataset_add_subject(dataset_of(in[0]), text_of(in[1], "id"), &number));
    out[0] = mxCreateDoubleScalar((double)number + 1);
}

static void add_file(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    vxf_file_options options;
    (void)out;
    check(vxf_file_options_init(&options, sizeof options));
    options_read(file_fields, in[5], 0, "add_file", &options);
    check(vxf_dataset_add_file(dataset, subject_of(dataset, in[1]), text_of(in[2], "category"),
                               text_of(in[3], "entry"), text_of(in[4], "path"), &options));
}

static void add_array(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    array_options options;
    vxf_tensor tensor;
    (void)out;
    array_options_of(in[5], &options);
    tensor_of(in[4], options.ndim, "array", &tensor);
    check(vxf_dataset_add_tensor(dataset, subject_of(dataset, in[1]), text_of(in[2], "category"),
                                 text_of(in[3], "entry"), &tensor, options.has_affine ? options.affine : NULL));
}

static void set_attribute(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    (void)out;
    check(vxf_dataset_set_attribute(dataset, subject_of(dataset, in[1]), text_of(in[2], "name"),
                                    text_of(in[3], "value")));
}

/* A list of numbers, a cell of numbers and ids, or one id. */
static uint64_t *subjects_of(const vxf_dataset *dataset, const mxArray *given, uint64_t *count)
{
    uint64_t *subjects, known;
    size_t at;
    *count = mxIsChar(given) ? 1 : mxGetNumberOfElements(given);
    subjects = mxCalloc(*count + 1, sizeof *subjects);
    check(vxf_dataset_len(dataset, &known));
    for (at = 0; at < *count; at++) {
        const mxArray *one = mxIsCell(given) ? mxGetCell(given, at) : given;
        if (one == NULL)
            fail("argument", "subject %zu of the list is empty", at + 1);
        if (mxIsChar(one) || mxIsCell(given))
            subjects[at] = subject_of(dataset, one);
        else
            subjects[at] = unsigned_at(one, at, "subject", 1, known) - 1;
    }
    return subjects;
}

static void set_split(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    uint64_t count, *subjects = subjects_of(dataset, in[2], &count);
    (void)out;
    check(vxf_dataset_set_split(dataset, text_of(in[1], "name"), subjects, count));
}

static void splits(mxArray *out[], const mxArray *const in[])
{
    const char *json;
    check(vxf_dataset_splits(dataset_of(in[0]), &json));
    out[0] = json_members(json, "subjects", false);
}

static void split(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]), *made;
    handle *place = handle_reserve();
    out[0] = handle_number();
    check(vxf_dataset_split(dataset, text_of(in[1], "name"), &made));
    handle_fill(place, KIND_DATASET, made, out[0]);
}

static void subset(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]), *made;
    uint64_t count, *subjects = subjects_of(dataset, in[1], &count);
    handle *place = handle_reserve();
    out[0] = handle_number();
    check(vxf_dataset_subset(dataset, subjects, count, &made));
    handle_fill(place, KIND_DATASET, made, out[0]);
}

static void length(mxArray *out[], const mxArray *const in[])
{
    uint64_t count;
    check(vxf_dataset_len(dataset_of(in[0]), &count));
    out[0] = mxCreateDoubleScalar((double)count);
}

static void subject_id(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    const char *id;
    check(vxf_dataset_subject_id(dataset, subject_of(dataset, in[1]), &id));
    out[0] = text_given(id);
}

static void find(mxArray *out[], const mxArray *const in[])
{
    uint64_t number;
    check(vxf_dataset_find(dataset_of(in[0]), text_of(in[1], "id"), &number));
    out[0] = mxCreateDoubleScalar((double)number + 1);
}

static void categories(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    const char *json;
    check(vxf_dataset_categories(dataset, subject_of(dataset, in[1]), &json));
    out[0] = json_members(json, "entries", false);
}

static void attribute(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    const char *json;
    check(vxf_dataset_attribute(dataset, subject_of(dataset, in[1]), text_of(in[2], "name"), &json));
    out[0] = text_given(json);
}

static void attributes(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    const char *json;
    check(vxf_dataset_attribute(dataset, subject_of(dataset, in[1]), NULL, &json));
    out[0] = json_members(json, "value", true);
}

static mxArray *reversed(const double *numbers, size_t count)
{
    mxArray *given = mxCreateDoubleMatrix(1, count, mxREAL);
    size_t at;
    for (at = 0; at < count; at++)
        ((double *)mxGetData(given))[at] = numbers[count - 1 - at];
    return given;
}

static void volume_info(mxArray *out[], const mxArray *const in[])
{
    static const char *names[] = {"dtype", "value_dtype", "shape", "channels", "scale_slope", "scale_intercept",
                                  "spacing_mm", "affine", "has_affine", "path", "format"};
    vxf_dataset *dataset = dataset_of(in[0]);
    vxf_volume_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    check(vxf_dataset_volume_info(dataset, subject_of(dataset, in[1]), text_of(in[2], "category"),
                                  text_or_null(in[3], "entry"), &info));
    out[0] = mxCreateStructMatrix(1, 1, 11, names);
    mxSetField(out[0], 0, "dtype", text_given(word_of(dtype_words, info.dtype)));
    mxSetField(out[0], 0, "value_dtype", text_given(word_of(dtype_words, info.value_dtype)));
    mxSetField(out[0], 0, "shape", axes_given(info.shape, info.ndim));
    mxSetField(out[0], 0, "channels", mxCreateDoubleScalar((double)info.channels));
    mxSetField(out[0], 0, "scale_slope", mxCreateDoubleScalar(info.scale_slope));
    mxSetField(out[0], 0, "scale_intercept", mxCreateDoubleScalar(info.scale_intercept));
    mxSetField(out[0], 0, "spacing_mm", reversed(info.spacing_mm, 3));
    mxSetField(out[0], 0, "affine", affine_given(info.affine));
    mxSetField(out[0], 0, "has_affine", mxCreateLogicalScalar(info.has_affine != 0));
    mxSetField(out[0], 0, "path", text_given(info.path));
    mxSetField(out[0], 0, "format", text_given(info.format));
}

/* Reads a region, whose offset may be [] for the whole volume; channels 0 is an array without that axis. */
static void read_region(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = dataset_of(in[0]);
    uint64_t subject = subject_of(dataset, in[1]);
    char *category = text_of(in[2], "category"), *entry = text_or_null(in[3], "entry");
    bool is_whole = is_none(in[4]);
    int64_t shape[1 + VXF_MAX_AXES] = {0}, channels;
    vxf_region region;
    size_t ndim;
    array_result result;
    memset(&region, 0, sizeof region);
    ndim = axes_of(in[5], "shape", 0, region.shape);
    if (!is_whole && axes_of(in[4], "offset", INT64_MIN, region.offset) != ndim)
        fail("argument", "offset and shape have different numbers of axes");
    channels = signed_of(in[6], "channels", 0, INT64_MAX);
    shape[0] = channels;
    memcpy(shape + 1, region.shape, ndim * sizeof *shape);
    array_begin(&result, choice_of(in[7], dtype_words, "dtype"), (int64_t)ndim + (channels > 0 ? 1 : 0),
                channels > 0 ? shape : shape + 1);
    check(vxf_dataset_read(dataset, subject, category, entry, is_whole ? NULL : &region, &result.tensor));
    out[0] = array_finish(&result);
}

static void evict(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    check(vxf_dataset_evict(dataset_of(in[0])));
}

const command dataset_commands[] = {
    {"dataset_new", new_dataset, 2, 1},
    {"dataset_add_subject", add_subject, 2, 1},
    {"dataset_add_file", add_file, 6, 0},
    {"dataset_add_array", add_array, 6, 0},
    {"dataset_set_attribute", set_attribute, 4, 0},
    {"dataset_set_split", set_split, 3, 0},
    {"dataset_splits", splits, 1, 1},
    {"dataset_split", split, 2, 1},
    {"dataset_subset", subset, 2, 1},
    {"dataset_length", length, 1, 1},
    {"dataset_subject_id", subject_id, 2, 1},
    {"dataset_find", find, 2, 1},
    {"dataset_categories", categories, 2, 1},
    {"dataset_attribute", attribute, 3, 1},
    {"dataset_attributes", attributes, 2, 1},
    {"dataset_volume_info", volume_info, 4, 1},
    {"dataset_read", read_region, 8, 1},
    {"dataset_evict", evict, 1, 0},
    {NULL, NULL, 0, 0},
};
