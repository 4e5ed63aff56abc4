/* Errors of the host: every one has an identifier voxfeed:<word> and one line of text. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face.h"

static failure last;

void fail(const char *word, const char *text, ...)
{
    /* Static, as nothing on this stack is there any more when the host reads it. */
    static char line[2048], identifier[64];
    va_list arguments;
    va_start(arguments, text);
    vsnprintf(line, sizeof line, text, arguments);
    va_end(arguments);
    snprintf(identifier, sizeof identifier, "voxfeed:%s", word);
    mexErrMsgIdAndTxt(identifier, "%s", line);
    abort();
}

void status_word(vxf_status status, char *word, size_t size)
{
    const char *name = vxf_status_name(status);
    size_t at;
    if (strncmp(name, "VXF_STATUS_", 11) == 0)
        name += 11;
    if (strncmp(name, "ERR_", 4) == 0)
        name += 4;
    for (at = 0; name[at] != '\0' && at + 1 < size; at++)
        word[at] = (char)tolower((unsigned char)name[at]);
    word[at] = '\0';
}

void failure_read(vxf_status status, failure *out)
{
    memset(out, 0, sizeof *out);
    out->info.struct_size = sizeof out->info;
    if (vxf_last_error_info(&out->info) == VXF_STATUS_OK && out->info.path != NULL)
        snprintf(out->path, sizeof out->path, "%s", out->info.path);
    out->info.path = NULL;
    out->info.status = status;
    snprintf(out->message, sizeof out->message, "%s", vxf_last_error_message());
}

void failure_raise(const failure *what)
{
    char word[32];
    last = *what;
    status_word(what->info.status, word, sizeof word);
    fail(word, "%s", last.message);
}

vxf_status check(vxf_status status)
{
    static failure raised;
    if (status < 0) {
        failure_read(status, &raised);
        failure_raise(&raised);
    }
    return status;
}

const failure *failure_last(void)
{
    return &last;
}
