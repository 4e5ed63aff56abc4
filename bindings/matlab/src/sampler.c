/* Samplers, and the transforms that are applied to what they choose. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include "face.h"

static vxf_sampler *sampler_of(const mxArray *number)
{
    return handle_of(number, KIND_SAMPLER)->object;
}

static void new_sampler(mxArray *out[], const mxArray *const in[])
{
    vxf_dataset *dataset = handle_of(in[0], KIND_DATASET)->object;
    handle *place = handle_reserve();
    vxf_sampler_options options;
    vxf_sampler *made;
    check(vxf_sampler_options_init(&options, sizeof options));
    options_read(sampler_fields, in[1], 0, "a Sampler", &options);
    out[0] = handle_number();
    check(vxf_sampler_new(dataset, &options, &made));
    handle_fill(place, KIND_SAMPLER, made, out[0]);
}

static void length(mxArray *out[], const mxArray *const in[])
{
    uint64_t count;
    check(vxf_sampler_len(sampler_of(in[0]), &count));
    out[0] = mxCreateDoubleScalar((double)count);
}

static void get(mxArray *out[], const mxArray *const in[])
{
    vxf_sampler *sampler = sampler_of(in[0]);
    uint64_t count, index, seed, epoch;
    vxf_sample sample;
    check(vxf_sampler_len(sampler, &count));
    index = unsigned_of(in[1], "index", 1, count) - 1;
    seed = unsigned_of(in[2], "seed", 0, UINT64_MAX);
    epoch = unsigned_of(in[3], "epoch", 0, UINT64_C(1) << 53);
    check(vxf_sampler_get(sampler, seed, epoch, index, &sample));
    out[0] = samples_given(&sample, 1);
}

static void parse(mxArray *out[], const mxArray *const in[])
{
    handle *place = handle_reserve();
    vxf_transform *made;
    out[0] = handle_number();
    check(vxf_transform_parse(text_of(in[0], "steps"), &made));
    handle_fill(place, KIND_TRANSFORM, made, out[0]);
}

const command sampler_commands[] = {
    {"sampler_new", new_sampler, 2, 1}, {"sampler_length", length, 1, 1}, {"sampler_get", get, 4, 1},
    {"transform_parse", parse, 1, 1},   {NULL, NULL, 0, 0},
};
