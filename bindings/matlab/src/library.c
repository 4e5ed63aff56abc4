/* What belongs to no object: version, errors, devices, the log, and the letting go of objects of every kind. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <stdlib.h>
#include <string.h>

#include "face.h"

typedef struct {
    vxf_log_level level;
    char *text;
} line;

/* Lines that the library has told within process_events, and the host has not been given yet. */
static line *lines;
static size_t line_count;

static void version(mxArray *out[], const mxArray *const in[])
{
    (void)in;
    out[0] = text_given(vxf_version_string());
}

static void build_info(mxArray *out[], const mxArray *const in[])
{
    (void)in;
    out[0] = text_given(vxf_build_info());
}

static void cuda_device_count(mxArray *out[], const mxArray *const in[])
{
    int32_t count;
    (void)in;
    check(vxf_cuda_device_count(&count));
    out[0] = mxCreateDoubleScalar(count);
}

static void last_error(mxArray *out[], const mxArray *const in[])
{
    static const char *names[] = {"status", "message", "path", "sample", "os_error", "device_error"};
    const failure *last = failure_last();
    bool is_none = last->info.status == 0;
    char status[32];
    (void)in;
    status_word(last->info.status, status, sizeof status);
    out[0] = mxCreateStructMatrix(1, 1, 6, names);
    mxSetField(out[0], 0, "status", text_given(is_none ? "" : status));
    mxSetField(out[0], 0, "message", text_given(last->message));
    mxSetField(out[0], 0, "path", text_given(last->path));
    mxSetField(out[0], 0, "sample", mxCreateDoubleScalar(is_none ? 0 : (double)last->info.sample + 1));
    mxSetField(out[0], 0, "os_error", mxCreateDoubleScalar(last->info.os_error));
    mxSetField(out[0], 0, "device_error", mxCreateDoubleScalar(last->info.device_error));
}

/* Called inside of vxf_process_events alone, on the host's thread; no error of the host's could leave from here. */
static void hear(vxf_log_level level, const char *text, void *user_data)
{
    line *grown = realloc(lines, (line_count + 1) * sizeof *lines);
    (void)user_data;
    if (grown == NULL)
        return;
    lines = grown;
    lines[line_count].level = level;
    lines[line_count].text = malloc(strlen(text) + 1);
    if (lines[line_count].text != NULL)
        strcpy(lines[line_count++].text, text);
}

static void set_log(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    if (is_none(in[0]))
        check(vxf_set_log(VXF_LOG_LEVEL_INFO, VXF_LOG_MODE_QUEUED, NULL, NULL));
    else
        check(vxf_set_log(choice_of(in[0], log_level_words, "level"), VXF_LOG_MODE_QUEUED, hear, NULL));
}

static void process_events(mxArray *out[], const mxArray *const in[])
{
    static const char *names[] = {"level", "text"};
    size_t at;
    (void)in;
    check(vxf_process_events());
    out[0] = mxCreateStructMatrix(1, line_count, 2, names);
    for (at = 0; at < line_count; at++) {
        mxSetField(out[0], at, "level", text_given(word_of(log_level_words, lines[at].level)));
        mxSetField(out[0], at, "text", text_given(lines[at].text));
    }
    for (at = 0; at < line_count; at++)
        free(lines[at].text);
    line_count = 0;
}

/* Lets go of an object of any kind; a number that stands for none is no error. */
static void let_go(mxArray *out[], const mxArray *const in[])
{
    handle *held = NULL;
    (void)out;
    if (mxIsUint64(in[0]) && mxGetNumberOfElements(in[0]) == 1 && !mxIsComplex(in[0]) && !mxIsSparse(in[0]))
        held = handle_known(*(const uint64_t *)mxGetData(in[0]));
    if (held != NULL)
        handle_free(held);
}

const command library_commands[] = {
    {"version", version, 0, 1},
    {"build_info", build_info, 0, 1},
    {"cuda_device_count", cuda_device_count, 0, 1},
    {"last_error", last_error, 0, 1},
    {"set_log", set_log, 1, 0},
    {"process_events", process_events, 0, 1},
    {"let_go", let_go, 1, 0},
    {NULL, NULL, 0, 0},
};
