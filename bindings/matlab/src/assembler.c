/* Assemblers. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <stdio.h>
#include <string.h>

#include "face.h"

static vxf_assembler *assembler_of(const mxArray *number)
{
    return handle_of(number, KIND_ASSEMBLER)->object;
}

static uint64_t given_subject(const mxArray *given)
{
    return unsigned_of(given, "subject", 1, UINT64_C(1) << 53) - 1;
}

/* Says behind what the library says of a prediction's shape how it was given here. */
static void check_add(vxf_status status, const mxArray *prediction)
{
    failure failed;
    const size_t most = sizeof failed.message;
    if (status == VXF_STATUS_ERR_ARGUMENT) {
        failure_read(status, &failed);
        snprintf(failed.message + strlen(failed.message), most - strlen(failed.message),
                 " [shapes as in C, slowest axis first; here the prediction is %s, which is read as (width, height, "
                 "depth, channel, batch)]",
                 described(prediction));
        failure_raise(&failed);
    }
    check(status);
}

static void new_assembler(mxArray *out[], const mxArray *const in[])
{
    handle *loader = handle_of(in[0], KIND_LOADER), *place = handle_reserve();
    vxf_assembler_options options;
    vxf_assembler *made;
    check(vxf_assembler_options_init(&options, sizeof options));
    options_read(assembler_fields, in[1], 0, "an Assembler", &options);
    out[0] = handle_number();
    check(vxf_assembler_new(loader->object, &options, &made));
    handle_fill(place, KIND_ASSEMBLER, made, out[0]);
    place->keeps_thin_axis = loader->keeps_thin_axis;
}

static void add(mxArray *out[], const mxArray *const in[])
{
    vxf_assembler *assembler = assembler_of(in[0]);
    handle *batch = handle_of(in[1], KIND_BATCH);
    uint64_t count;
    vxf_sample *rows;
    vxf_tensor prediction;
    (void)out;
    check(vxf_batch_len(batch->object, &count));
    rows = mxCalloc(count + 1, sizeof *rows);
    check(vxf_batch_samples(batch->object, rows, count));
    tensor_of(in[2], prediction_ndim(rows, batch->keeps_thin_axis), "prediction", &prediction);
    check_add(vxf_assembler_add(assembler, batch->object, &prediction), in[2]);
}

static void add_samples(mxArray *out[], const mxArray *const in[])
{
    handle *assembler = handle_of(in[0], KIND_ASSEMBLER);
    size_t count;
    vxf_sample *rows = samples_of(in[1], &count);
    vxf_tensor prediction;
    (void)out;
    if (count == 0)
        fail("argument", "samples is empty");
    tensor_of(in[2], prediction_ndim(rows, assembler->keeps_thin_axis), "prediction", &prediction);
    check_add(vxf_assembler_add_samples(assembler->object, rows, count, &prediction), in[2]);
}

static void next_complete(mxArray *out[], const mxArray *const in[])
{
    uint64_t subject;
    if (check(vxf_assembler_next_complete(assembler_of(in[0]), &subject)) == VXF_STATUS_OK)
        out[0] = mxCreateDoubleScalar((double)subject + 1);
    else
        out[0] = mxCreateDoubleMatrix(0, 0, mxREAL);
}

static void shape_of(const vxf_assembler *assembler, uint64_t subject, vxf_tensor *out)
{
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    check(vxf_assembler_shape(assembler, subject, out));
}

static void shape(mxArray *out[], const mxArray *const in[])
{
    vxf_tensor tensor;
    shape_of(assembler_of(in[0]), given_subject(in[1]), &tensor);
    out[0] = axes_given(tensor.shape, (size_t)tensor.ndim);
    out[1] = text_given(word_of(dtype_words, tensor.dtype));
}

static void coverage(mxArray *out[], const mxArray *const in[])
{
    double share;
    check(vxf_assembler_coverage(assembler_of(in[0]), given_subject(in[1]), &share));
    out[0] = mxCreateDoubleScalar(share);
}

static void take(mxArray *out[], const mxArray *const in[])
{
    vxf_assembler *assembler = assembler_of(in[0]);
    uint64_t subject = given_subject(in[1]);
    vxf_completeness completeness = choice_of(in[2], completeness_words, "completeness");
    array_result result;
    vxf_tensor tensor;
    shape_of(assembler, subject, &tensor);
    array_begin(&result, tensor.dtype, tensor.ndim, tensor.shape);
    check(vxf_assembler_take(assembler, subject, completeness, &result.tensor));
    out[0] = array_finish(&result);
}

static void save(mxArray *out[], const mxArray *const in[])
{
    vxf_completeness completeness = choice_of(in[3], completeness_words, "completeness");
    (void)out;
    check(vxf_assembler_save(assembler_of(in[0]), given_subject(in[1]), completeness, text_of(in[2], "path")));
}

const command assembler_commands[] = {
    {"assembler_new", new_assembler, 2, 1},
    {"assembler_add", add, 3, 0},
    {"assembler_add_samples", add_samples, 3, 0},
    {"assembler_next_complete", next_complete, 1, 1},
    {"assembler_shape", shape, 2, 2},
    {"assembler_coverage", coverage, 2, 1},
    {"assembler_take", take, 3, 1},
    {"assembler_save", save, 4, 0},
    {NULL, NULL, 0, 0},
};
