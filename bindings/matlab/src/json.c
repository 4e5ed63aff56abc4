/* The JSON that the library writes: lists of texts, and objects. Names stay as they are, unlike jsondecode's. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <stdlib.h>
#include <string.h>

#include "face.h"

static const char *past_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the text that begins at a quote. */
static const char *past_text(const char *at)
{
    for (at++; *at != '\0' && *at != '"'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
    }
    return *at == '"' ? at + 1 : at;
}

/* Behind the value that begins here. */
static const char *past_value(const char *at)
{
    int depth = 0;
    while (*at != '\0') {
        if (depth == 0 && strchr(",]}", *at) != NULL)
            return at;
        if (*at == '"') {
            at = past_text(at);
            continue;
        }
        depth += *at == '[' || *at == '{' ? 1 : *at == ']' || *at == '}' ? -1 : 0;
        at++;
    }
    return at;
}

static uint32_t hexadecimal(const char *from)
{
    char digits[5] = {0};
    strncpy(digits, from, 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* The text that begins at a quote, without its escapes, which make it no shorter. */
static char *text_read(const char *at)
{
    static const char ESCAPES[] = "b\bf\fn\nr\rt\t";
    const char *end = past_text(at);
    char *text = mxMalloc((size_t)(end - at) + 1), *to = text;
    for (at++; at < end - 1; at++) {
        const char *known;
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        if (*at == 'u') {
            /* The library escapes control characters only, which are one byte. */
            *to++ = (char)hexadecimal(at + 1);
            at += 4;
            continue;
        }
        for (known = ESCAPES; *known != '\0' && *known != *at; known += 2) {
        }
        *to++ = *known == '\0' ? *at : known[1];
    }
    *to = '\0';
    return text;
}

static size_t count_of(const char *at)
{
    size_t count = 0;
    at = past_space(at + 1);
    while (*at != '\0' && *at != ']' && *at != '}') {
        count++;
        at = past_value(at);
        at = past_space(*at == ',' ? at + 1 : at);
    }
    return count;
}

mxArray *json_list(const char *json)
{
    const char *at = past_space(json);
    size_t count = count_of(at), number;
    mxArray *given = mxCreateCellMatrix(1, count);
    for (number = 0; number < count; number++) {
        char *text;
        at = past_space(at + 1);
        text = text_read(at);
        mxSetCell(given, number, text_given(text));
        mxFree(text);
        at = past_space(past_text(at));
    }
    return given;
}

mxArray *json_members(const char *json, const char *value_field, bool as_text)
{
    const char *names[2], *at = past_space(json);
    size_t count = count_of(at), number;
    mxArray *given;
    names[0] = "name";
    names[1] = value_field;
    given = mxCreateStructMatrix(1, count, 2, names);
    for (number = 0; number < count; number++) {
        const char *begin;
        char *text;
        size_t size;
        at = past_space(at + 1);
        text = text_read(at);
        mxSetField(given, number, "name", text_given(text));
        mxFree(text);
        begin = past_space(past_space(past_text(at)) + 1);
        at = past_value(begin);
        size = (size_t)(at - begin);
        text = mxCalloc(size + 1, 1);
        memcpy(text, begin, size);
        mxSetField(given, number, value_field, as_text ? text_given(text) : json_list(text));
        mxFree(text);
    }
    return given;
}
