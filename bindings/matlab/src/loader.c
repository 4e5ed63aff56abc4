/* Loaders. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <string.h>

#include "face.h"

/* How much the numbers in a saved state may grow between the asking for its size and its writing. */
#define STATE_ROOM 64

static vxf_loader *loader_of(const mxArray *number)
{
    return handle_of(number, KIND_LOADER)->object;
}

static void entries_read(const mxArray *given, vxf_category *out)
{
    size_t count = mxIsChar(given) ? 1 : mxGetNumberOfElements(given), at;
    const char **entries = mxCalloc(count + 1, sizeof *entries);
    if (!mxIsChar(given) && !mxIsCell(given))
        fail("argument", "entries is %s, expected a name or a cell of names", described(given));
    for (at = 0; at < count; at++) {
        const mxArray *one = mxIsChar(given) ? given : mxGetCell(given, at);
        if (one == NULL)
            fail("argument", "entry %zu of the list is empty", at + 1);
        entries[at] = text_of(one, "entry");
    }
    out->entries = entries;
    out->entry_count = count;
}

static void category_read(const mxArray *given, size_t at, vxf_category *out)
{
    const mxArray *entries;
    if (given != NULL && mxIsChar(given)) {
        out->name = text_of(given, "name");
        return;
    }
    if (given == NULL || !mxIsStruct(given))
        fail("argument", "a category is %s, expected a name or a struct with a name",
             given == NULL ? "empty" : described(given));
    options_read(category_fields, given, at, "a category", out);
    if (out->name == NULL)
        fail("argument", "a category needs a name, as in struct('name', 'images')");
    entries = option_value(given, at, "entries");
    if (entries != NULL)
        entries_read(entries, out);
}

/* A name, structs, or a cell of names and structs. */
static vxf_category *categories_read(const mxArray *given, uint64_t *count)
{
    vxf_category *categories;
    size_t at;
    *count = mxIsChar(given) ? 1 : mxGetNumberOfElements(given);
    if (*count == 0)
        fail("argument", "categories is empty: leave it out for all that the first subject has");
    categories = mxCalloc(*count, sizeof *categories);
    for (at = 0; at < *count; at++) {
        const mxArray *one = mxIsCell(given) ? mxGetCell(given, at) : given;
        if (mxIsCell(given) && one != NULL && mxIsStruct(one) && mxGetNumberOfElements(one) != 1)
            fail("argument", "a category is %s, expected one struct in each cell", described(one));
        category_read(one, mxIsCell(given) ? 0 : at, &categories[at]);
    }
    return categories;
}

static void new_loader(mxArray *out[], const mxArray *const in[])
{
    vxf_sampler *sampler = handle_of(in[0], KIND_SAMPLER)->object;
    handle *place = handle_reserve();
    const mxArray *transform, *categories;
    vxf_loader_options options;
    vxf_loader *made;
    check(vxf_loader_options_init(&options, sizeof options));
    options_read(loader_fields, in[1], 0, "a Loader", &options);
    transform = option_value(in[1], 0, "transform");
    categories = option_value(in[1], 0, "categories");
    if (transform != NULL)
        options.transform = handle_of(transform, KIND_TRANSFORM)->object;
    if (categories != NULL)
        options.categories = categories_read(categories, &options.category_count);
    out[0] = handle_number();
    check(vxf_loader_new(sampler, &options, &made));
    handle_fill(place, KIND_LOADER, made, out[0]);
    place->keeps_thin_axis = options.thin_axis == VXF_THIN_AXIS_KEEP;
}

/* The batch that was given last and that no object has, as an interrupt came in between. */
static handle *unclaimed(const handle *loader)
{
    handle *given = handle_known(loader->given);
    return given != NULL && !given->is_claimed ? given : NULL;
}

static void forget_unclaimed(const handle *loader)
{
    handle *given = unclaimed(loader);
    if (given != NULL)
        handle_free(given);
}

static void start(mxArray *out[], const mxArray *const in[])
{
    handle *loader = handle_of(in[0], KIND_LOADER);
    (void)out;
    check(vxf_loader_start(loader->object, unsigned_of(in[1], "epoch", 0, UINT64_C(1) << 53)));
    forget_unclaimed(loader);
}

static void length(mxArray *out[], const mxArray *const in[])
{
    uint64_t count;
    check(vxf_loader_len(loader_of(in[0]), &count));
    out[0] = mxCreateDoubleScalar((double)count);
}

/* Gives the status as a word, and the batch's number where it is ok. */
static void next(mxArray *out[], const mxArray *const in[])
{
    handle *loader = handle_of(in[0], KIND_LOADER), *place = handle_reserve(), *given = unclaimed(loader);
    int64_t timeout_ns = nanoseconds_of(in[1], "timeout");
    vxf_status status = VXF_STATUS_OK;
    vxf_batch *batch;
    char word[32];
    out[1] = handle_number();
    if (given != NULL) {
        *(uint64_t *)mxGetData(out[1]) = given->number;
    } else {
        status = check(vxf_loader_next(loader->object, timeout_ns, &batch));
        if (status == VXF_STATUS_OK) {
            handle_fill(place, KIND_BATCH, batch, out[1]);
            place->keeps_thin_axis = loader->keeps_thin_axis;
            loader->given = place->number;
        }
    }
    status_word(status, word, sizeof word);
    out[0] = text_given(word);
}

static void cancel(mxArray *out[], const mxArray *const in[])
{
    (void)out;
    check(vxf_loader_cancel(loader_of(in[0])));
}

static void close_loader(mxArray *out[], const mxArray *const in[])
{
    handle *loader = handle_of(in[0], KIND_LOADER);
    vxf_status status = check(vxf_loader_close(loader->object, nanoseconds_of(in[1], "timeout")));
    out[0] = mxCreateLogicalScalar(status == VXF_STATUS_OK);
}

static void save_state(mxArray *out[], const mxArray *const in[])
{
    handle *loader = handle_of(in[0], KIND_LOADER);
    size_t size = 0;
    char *text;
    if (unclaimed(loader) != NULL)
        fail("state", "a batch was interrupted on its way: take it with next() before the place is saved");
    check(vxf_loader_save_state(loader->object, NULL, &size));
    size += STATE_ROOM;
    text = mxCalloc(size, 1);
    check(vxf_loader_save_state(loader->object, text, &size));
    out[0] = text_given(text);
    mxFree(text);
}

static void load_state(mxArray *out[], const mxArray *const in[])
{
    handle *loader = handle_of(in[0], KIND_LOADER);
    (void)out;
    check(vxf_loader_load_state(loader->object, text_of(in[1], "state")));
    forget_unclaimed(loader);
}

static void stats(mxArray *out[], const mxArray *const in[])
{
    vxf_loader_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    check(vxf_loader_get_stats(loader_of(in[0]), &stats));
    out[0] = numbers_given(stats_fields, &stats);
}

const command loader_commands[] = {
    {"loader_new", new_loader, 2, 1},
    {"loader_start", start, 2, 0},
    {"loader_length", length, 1, 1},
    {"loader_next", next, 2, 2},
    {"loader_cancel", cancel, 1, 0},
    {"loader_close", close_loader, 2, 1},
    {"loader_save_state", save_state, 1, 1},
    {"loader_load_state", load_state, 2, 0},
    {"loader_stats", stats, 1, 1},
    {NULL, NULL, 0, 0},
};
