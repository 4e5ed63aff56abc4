/* Numbers that stand for objects: place in the table, generation and kind, so that none can be made up. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* For clock_gettime, where the compiler keeps to C99. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <stdlib.h>
#include <time.h>

#include "face.h"

#define PLACE_BITS 24
#define MOST_PLACES ((size_t)1 << PLACE_BITS)
#define END_NS (INT64_C(1000) * 1000 * 1000)

static handle **table;
static size_t places, capacity;
static uint32_t generation;

static const char *const NOUNS[] = {"",         "Dataset", "Sampler",   "Transform", "Loader",
                                    "Batch", "Assembler", "Writer", "job"};

handle *handle_reserve(void)
{
    size_t at;
    handle *made;
    for (at = 0; at < places; at++) {
        if (table[at]->object == NULL)
            return table[at];
    }
    if (places == capacity) {
        size_t more = capacity == 0 ? 64 : 2 * capacity;
        handle **grown = more > MOST_PLACES ? NULL : realloc(table, more * sizeof *table);
        if (grown == NULL)
            fail("memory", "there is no room for one more object: let go of some");
        table = grown;
        capacity = more;
    }
    made = calloc(1, sizeof *made);
    if (made == NULL)
        fail("memory", "there is no room for one more object: let go of some");
    /* Numbers of an earlier process, which were saved and loaded, must not be taken for this one's. */
    if (generation == 0)
        generation = (uint32_t)time(NULL) * UINT32_C(2654435761) ^ (uint32_t)((uintptr_t)made >> 4);
    table[places++] = made;
    return made;
}

mxArray *handle_number(void)
{
    return mxCreateNumericMatrix(1, 1, mxUINT64_CLASS, mxREAL);
}

void handle_fill(handle *place, kind is, void *object, mxArray *number)
{
    size_t at = 0;
    handle filled = {0};
    while (table[at] != place)
        at++;
    filled.object = object;
    filled.is = is;
    filled.number = (uint64_t)is << 56 | (uint64_t)++generation << PLACE_BITS | at;
    *place = filled;
    if (number != NULL)
        *(uint64_t *)mxGetData(number) = place->number;
}

handle *handle_known(uint64_t number)
{
    size_t at = number & (MOST_PLACES - 1);
    if (at >= places || table[at]->object == NULL || table[at]->number != number || table[at]->is_doomed)
        return NULL;
    return table[at];
}

handle *handle_of(const mxArray *number, kind is)
{
    handle *found = NULL;
    if (mxIsUint64(number) && mxGetNumberOfElements(number) == 1 && !mxIsComplex(number) && !mxIsSparse(number))
        found = handle_known(*(const uint64_t *)mxGetData(number));
    if (found == NULL)
        fail("handle", "%s is no %s of this session, or it is closed: make it anew", described(number), NOUNS[is]);
    if (found->is != is)
        fail("handle", "it is a %s, expected a %s", NOUNS[found->is], NOUNS[is]);
    if (is == KIND_WRITER && found->uses > 0)
        fail("state", "the Writer is busy with add_dataset");
    return found;
}

static void object_free(kind is, void *object)
{
    switch (is) {
    case KIND_DATASET: vxf_dataset_free(object); break;
    case KIND_SAMPLER: vxf_sampler_free(object); break;
    case KIND_TRANSFORM: vxf_transform_free(object); break;
    case KIND_LOADER: vxf_loader_free(object); break;
    case KIND_BATCH: vxf_batch_release(object); break;
    case KIND_ASSEMBLER: vxf_assembler_free(object); break;
    case KIND_WRITER: vxf_writer_free(object); break;
    case KIND_JOB: job_free(object); break;
    }
}

void handle_use(handle *held)
{
    held->uses++;
}

void handle_unuse(handle *held)
{
    held->uses--;
    if (held->is_doomed && held->uses == 0)
        handle_free(held);
}

void handle_free(handle *held)
{
    void *object = held->object;
    handle *given = held->is == KIND_LOADER ? handle_known(held->given) : NULL;
    held->is_doomed = true;
    if (held->uses > 0)
        return;
    held->object = NULL;
    object_free(held->is, object);
    if (given != NULL && !given->is_claimed)
        handle_free(given);
}

void handle_free_all(void)
{
    size_t at;
    struct timespec now;
    int64_t end, left;
    /* Jobs first, as others are in their use. */
    for (at = 0; at < places; at++) {
        if (table[at]->object != NULL && table[at]->is == KIND_JOB)
            handle_free(table[at]);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    end = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + END_NS;
    for (at = 0; at < places; at++) {
        if (table[at]->object != NULL && table[at]->is == KIND_LOADER) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            left = end - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
            vxf_loader_close(table[at]->object, left < 0 ? 0 : left);
        }
    }
    for (at = 0; at < places; at++) {
        if (table[at]->object != NULL)
            handle_free(table[at]);
    }
}
