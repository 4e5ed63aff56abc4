/* Batches. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <string.h>

#include "face.h"

static vxf_batch *batch_of(const mxArray *number)
{
    return handle_of(number, KIND_BATCH)->object;
}

/* Notes that an object of the host's has the batch, and will let go of it. */
static void claim(mxArray *out[], const mxArray *const in[])
{
    handle *batch = handle_of(in[0], KIND_BATCH);
    (void)out;
    if (batch->is_claimed)
        fail("handle", "the batch belongs to another object: use retain()");
    batch->is_claimed = true;
}

static void view(const vxf_batch *batch, const char *category, vxf_tensor *out)
{
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    check(vxf_batch_tensor(batch, category, out));
}

static void get(mxArray *out[], const mxArray *const in[])
{
    vxf_batch *batch = batch_of(in[0]);
    char *category = text_or_null(in[1], "category");
    array_result result;
    vxf_tensor tensor;
    view(batch, category, &tensor);
    array_begin(&result, tensor.dtype, tensor.ndim, tensor.shape);
    check(vxf_batch_copy_to(batch, category, &result.tensor));
    out[0] = array_finish(&result);
}

/* The shape, fastest axis first and with its last axes of 1, the dtype and the device of a category. */
static void describe(mxArray *out[], const mxArray *const in[])
{
    static const char *names[] = {"shape", "dtype", "device", "device_id"};
    vxf_tensor tensor;
    view(batch_of(in[0]), text_or_null(in[1], "category"), &tensor);
    out[0] = mxCreateStructMatrix(1, 1, 4, names);
    mxSetField(out[0], 0, "shape", axes_given(tensor.shape, (size_t)tensor.ndim));
    mxSetField(out[0], 0, "dtype", text_given(word_of(dtype_words, tensor.dtype)));
    mxSetField(out[0], 0, "device", text_given(word_of(device_words, tensor.device)));
    mxSetField(out[0], 0, "device_id", mxCreateDoubleScalar(tensor.device_id));
}

static void categories(mxArray *out[], const mxArray *const in[])
{
    const char *json;
    check(vxf_batch_categories(batch_of(in[0]), &json));
    out[0] = json_list(json);
}

static void length(mxArray *out[], const mxArray *const in[])
{
    uint64_t count;
    check(vxf_batch_len(batch_of(in[0]), &count));
    out[0] = mxCreateDoubleScalar((double)count);
}

static void samples(mxArray *out[], const mxArray *const in[])
{
    vxf_batch *batch = batch_of(in[0]);
    uint64_t count;
    vxf_sample *rows;
    check(vxf_batch_len(batch, &count));
    rows = mxCalloc(count + 1, sizeof *rows);
    check(vxf_batch_samples(batch, rows, count));
    out[0] = samples_given(rows, count);
    mxFree(rows);
}

static void retain(mxArray *out[], const mxArray *const in[])
{
    handle *batch = handle_of(in[0], KIND_BATCH), *place = handle_reserve();
    vxf_batch *made;
    out[0] = handle_number();
    check(vxf_batch_retain(batch->object, &made));
    handle_fill(place, KIND_BATCH, made, out[0]);
    place->keeps_thin_axis = batch->keeps_thin_axis;
}

static void wait_for(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    check(vxf_batch_wait(batch_of(in[0]), stream_of(in[1])));
}

static void record_stream(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    check(vxf_batch_record_stream(batch_of(in[0]), stream_of(in[1])));
}

static void query(mxArray *out[], const mxArray *const in[])
{
    out[0] = mxCreateLogicalScalar(check(vxf_batch_query(batch_of(in[0]))) == VXF_STATUS_OK);
}

static void ready_event(mxArray *out[], const mxArray *const in[])
{
    void *event;
    check(vxf_batch_ready_event(batch_of(in[0]), &event));
    out[0] = handle_number();
    *(uint64_t *)mxGetData(out[0]) = (uintptr_t)event;
}

const command batch_commands[] = {
    {"batch_claim", claim, 1, 0},
    {"batch_get", get, 2, 1},
    {"batch_describe", describe, 2, 1},
    {"batch_categories", categories, 1, 1},
    {"batch_length", length, 1, 1},
    {"batch_samples", samples, 1, 1},
    {"batch_retain", retain, 1, 1},
    {"batch_wait", wait_for, 2, 0},
    {"batch_record_stream", record_stream, 2, 0},
    {"batch_query", query, 1, 1},
    {"batch_ready_event", ready_event, 1, 1},
    {NULL, NULL, 0, 0},
};
