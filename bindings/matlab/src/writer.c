/* What is written: dataset files, single volumes, montages. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <string.h>

#include "face.h"

/* Stands in a number, counted from 1, that the user has not given. */
#define NOT_GIVEN UINT32_MAX

static void create(mxArray *out[], const mxArray *const in[])
{
    handle *place = handle_reserve();
    vxf_writer_options options;
    vxf_writer *made;
    check(vxf_writer_options_init(&options, sizeof options));
    options_read(writer_fields, in[1], 0, "a Writer", &options);
    out[0] = handle_number();
    check(vxf_writer_create(text_of(in[0], "path"), &options, &made));
    handle_fill(place, KIND_WRITER, made, out[0]);
}

static void add_subject(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    check(vxf_writer_add_subject(handle_of(in[0], KIND_WRITER)->object, text_of(in[1], "id")));
}

static void add_entry(mxArray *out[], const mxArray *const in[])
{
    vxf_writer *writer = handle_of(in[0], KIND_WRITER)->object;
    array_options options;
    vxf_tensor tensor;
    (void)out;
    array_options_of(in[4], &options);
    tensor_of(in[3], options.ndim, "array", &tensor);
    check(vxf_writer_add_entry(writer, text_of(in[1], "category"), text_of(in[2], "entry"), &tensor,
                               options.has_affine ? options.affine : NULL));
}

static void finish(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    check(vxf_writer_finish(handle_of(in[0], KIND_WRITER)->object));
}

static void save_volume(mxArray *out[], const mxArray *const in[])
{
    array_options options;
    vxf_tensor tensor;
    (void)out;
    array_options_of(in[2], &options);
    tensor_of(in[1], options.ndim, "array", &tensor);
    check(vxf_volume_save(text_of(in[0], "path"), &tensor, options.has_affine ? options.affine : NULL));
}

/* A column is an array, or a struct with the field volume and options. */
static void column_read(const mxArray *given, size_t at, int64_t ndim, vxf_tensor *tensor, vxf_montage_column *out)
{
    const mxArray *volume = given;
    out->channel = NOT_GIVEN;
    if (given != NULL && mxIsStruct(given)) {
        options_read(column_fields, given, at, "a column", out);
        volume = option_value(given, at, "volume");
    }
    if (volume == NULL)
        fail("argument", "a column has no volume");
    tensor_of(volume, ndim, "a column's volume", tensor);
    out->volume = tensor;
    if (out->channel == NOT_GIVEN)
        out->channel = 1;
    if (out->channel < 1 || (int64_t)out->channel > (tensor->ndim > 3 ? tensor->shape[0] : 1))
        fail("range", "channel is %u, expected 1 to %lld", (unsigned)out->channel,
             tensor->ndim > 3 ? (long long)tensor->shape[0] : 1LL);
    out->channel--;
}

/* The columns are a cell of arrays and structs; ndim is how many axes each array has, 0 for what the host says. */
static void montage(mxArray *out[], const mxArray *const in[])
{
    char *path = text_of(in[0], "path");
    size_t count = mxGetNumberOfElements(in[1]), at;
    int64_t ndim = (int64_t)unsigned_of(in[3], "ndim", 0, VXF_MAX_NDIM), axes;
    vxf_montage_options options;
    vxf_montage_column *columns;
    vxf_tensor *tensors;
    double affine[16];
    const mxArray *given_affine;
    (void)out;
    if (!mxIsCell(in[1]) || count == 0)
        fail("argument", "columns is %s, expected at least one volume", described(in[1]));
    columns = mxCalloc(count, sizeof *columns);
    tensors = mxCalloc(count, sizeof *tensors);
    for (at = 0; at < count; at++) {
        const mxArray *one = mxGetCell(in[1], at);
        if (one != NULL && mxIsStruct(one) && mxGetNumberOfElements(one) != 1)
            fail("argument", "a column is %s, expected one struct in each cell", described(one));
        column_read(one, 0, ndim, &tensors[at], &columns[at]);
    }
    check(vxf_montage_options_init(&options, sizeof options));
    options.axis = NOT_GIVEN;
    options_read(montage_fields, in[2], 0, "montage", &options);
    axes = tensors[0].ndim > 3 ? 3 : tensors[0].ndim;
    if (options.axis == NOT_GIVEN)
        options.axis = (uint32_t)axes;
    if (options.axis < 1 || options.axis > axes)
        fail("range", "axis is %u, expected 1 to %lld", (unsigned)options.axis, (long long)axes);
    options.axis = (uint32_t)axes - options.axis;
    given_affine = option_value(in[2], 0, "affine");
    if (given_affine != NULL) {
        affine_of(given_affine, affine);
        options.affine = affine;
    }
    check(vxf_montage_save(path, columns, count, &options));
}

const command writer_commands[] = {
    {"writer_create", create, 2, 1}, {"writer_add_subject", add_subject, 2, 0}, {"writer_add_entry", add_entry, 5, 0},
    {"writer_finish", finish, 1, 0}, {"volume_save", save_volume, 3, 0},        {"montage_save", montage, 4, 0},
    {NULL, NULL, 0, 0},
};
