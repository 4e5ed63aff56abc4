/*
 * What the files of voxfeed's MEX share.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * An error leaves by a long jump or a C++ exception, depending on the host: what is held then must be the
 * host's memory (mxMalloc, mxArray), which it takes back by itself, or stand in the table of handles.
 */

#ifndef VOXFEED_FACE_H
#define VOXFEED_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mex.h>
#include <voxfeed.h>

/* One command: its name, what carries it out, and how many arguments it takes behind the name. */
typedef struct {
    const char *name;
    void (*run)(mxArray *out[], const mxArray *const in[]);
    int arguments;
    int results;
} command;

/* Each list ends with a name that is NULL. */
extern const command library_commands[], dataset_commands[], sampler_commands[], loader_commands[],
    batch_commands[], assembler_commands[], writer_commands[], job_commands[];

/* handle.c: numbers that stand for objects. Nothing is ever read through a number of the user's. */

typedef enum {
    KIND_DATASET = 1,
    KIND_SAMPLER,
    KIND_TRANSFORM,
    KIND_LOADER,
    KIND_BATCH,
    KIND_ASSEMBLER,
    KIND_WRITER,
    KIND_JOB
} kind;

typedef struct {
    void *object;
    uint64_t number;
    kind is;
    /* How many jobs work with it now; it is freed behind the last of them. */
    uint32_t uses;
    bool is_doomed;
    /* Loaders, batches and assemblers: whether slices keep their axis of one voxel. */
    bool keeps_thin_axis;
    /* Loaders: the batch that was given last; batches: whether an object of the host's has it. */
    uint64_t given;
    bool is_claimed;
} handle;

/* An unused place, so that nothing can fail between the making of an object and its place in the table. */
handle *handle_reserve(void);
void handle_fill(handle *place, kind is, void *object, mxArray *number);
mxArray *handle_number(void);
handle *handle_of(const mxArray *number, kind is);
/* The live object of a number that the table gave itself, or NULL. */
handle *handle_known(uint64_t number);
void handle_use(handle *held);
void handle_unuse(handle *held);
void handle_free(handle *held);
/* Closes all loaders, within about a second, and frees everything. */
void handle_free_all(void);

/* failure.c: errors of the host. */

typedef struct {
    vxf_error_info info;
    char message[2048];
    char path[1024];
} failure;

/* Raises voxfeed:<word>; it does not return. */
#ifdef __GNUC__
__attribute__((noreturn, format(printf, 2, 3)))
#endif
void fail(const char *word, const char *text, ...);
/* Raises the library's last error where the status is one, and returns it otherwise. */
vxf_status check(vxf_status status);
/* Reads the library's last error of this thread. */
void failure_read(vxf_status status, failure *out);
#ifdef __GNUC__
__attribute__((noreturn))
#endif
void failure_raise(const failure *what);
/* The last error of the library's that was raised; its status is 0 where there was none. */
const failure *failure_last(void);
/* A status as a word: VXF_STATUS_ERR_NOT_FOUND is not_found. */
void status_word(vxf_status status, char *word, size_t size);

/* argument.c: single values in and out. */

char *text_of(const mxArray *array, const char *what);
/* NULL for []. */
char *text_or_null(const mxArray *array, const char *what);
mxArray *text_given(const char *text);
bool is_none(const mxArray *array);
uint64_t unsigned_of(const mxArray *array, const char *what, uint64_t low, uint64_t high);
int64_t signed_of(const mxArray *array, const char *what, int64_t low, int64_t high);
/* One element of a list. */
uint64_t unsigned_at(const mxArray *array, size_t at, const char *what, uint64_t low, uint64_t high);
int64_t signed_at(const mxArray *array, size_t at, const char *what, int64_t low, int64_t high);
double double_of(const mxArray *array, const char *what);
/* A duration in seconds as nanoseconds, -1 for Inf. */
int64_t nanoseconds_of(const mxArray *array, const char *what);
/* A list of at most VXF_MAX_AXES integers, turned round from fastest first to slowest first; how many. */
size_t axes_of(const mxArray *array, const char *what, int64_t low, int64_t *out);
/* The other way. */
mxArray *axes_given(const int64_t *axes, size_t count);
vxf_stream stream_of(const mxArray *array);
/* What a value is, for a message; valid until the next call. */
const char *described(const mxArray *array);

/* array.c: voxels in and out. */

typedef struct {
    mxArray *array;
    vxf_tensor tensor;
} array_result;

/* Shows an array of the host's as a tensor of ndim axes; 0: of as many as the host says. */
void tensor_of(const mxArray *array, int64_t ndim, const char *what, vxf_tensor *out);
/* A new array for a tensor of this dtype and shape, which has to be filled before it is finished. */
void array_begin(array_result *result, vxf_dtype dtype, int64_t ndim, const int64_t *shape);
mxArray *array_finish(array_result *result);
void affine_of(const mxArray *array, double out[16]);
mxArray *affine_given(const double affine[16]);

/* How an array that is passed in is meant. */
typedef struct {
    uint32_t ndim;
    bool has_affine;
    double affine[16];
} array_options;

void array_options_of(const mxArray *given, array_options *out);

/* options.c: structs of options. */

typedef enum {
    FIELD_CHOICE,
    FIELD_TEXT,
    FIELD_U32,
    FIELD_U64,
    FIELD_I32,
    FIELD_F64,
    /* A list with one number an axis. */
    FIELD_EXTENTS,
    /* A list of axes, and its length in a field of its own. */
    FIELD_AXES,
    /* Read by the noun's own code. */
    FIELD_BY_HAND
} field_kind;

typedef struct {
    const char *name;
    int32_t number;
} choice;

typedef struct {
    const char *name;
    field_kind kind;
    size_t offset;
    /* Of FIELD_CHOICE. */
    const choice *words;
    /* Of FIELD_AXES: where the length stands. */
    size_t count_offset;
} field;

/* Lists of fields and words end with a name that is NULL. */
extern const field *const dataset_fields, *const file_fields, *const sampler_fields, *const category_fields,
    *const loader_fields, *const stats_fields, *const assembler_fields, *const writer_fields,
    *const montage_fields, *const column_fields;
extern const choice *const dtype_words, *const device_words, *const completeness_words, *const log_level_words;

/* Fills options from element `at` of a struct array; noun says in messages whose options they are. */
void options_read(const field *fields, const mxArray *given, size_t at, const char *noun, void *options);
/* One option's value, or NULL where it is not given. */
const mxArray *option_value(const mxArray *given, size_t at, const char *name);
int32_t choice_of(const mxArray *array, const choice *words, const char *what);
const char *word_of(const choice *words, int32_t number);
/* The numbers of a filled struct, as a struct of doubles. */
mxArray *numbers_given(const field *fields, const void *numbers);

/* sample.c */

mxArray *samples_given(const vxf_sample *samples, size_t count);
vxf_sample *samples_of(const mxArray *given, size_t *count);
/* The axes of a prediction for rows such as this sample's: batch, channel and the row's spatial ones. */
int64_t prediction_ndim(const vxf_sample *sample, bool keeps_thin_axis);

/* json.c: the texts that the library gives. */

/* A list of texts as a row of cells. */
mxArray *json_list(const char *json);
/* An object as a row of structs with the fields `name` and `value_field`: a list, or where as_text the JSON text. */
mxArray *json_members(const char *json, const char *value_field, bool as_text);

/* job.c: stops the work, waits for its end and frees it. */
void job_free(void *job);

/* dataset.c: a subject's number, from 1, or its id, as C's number. */
uint64_t subject_of(const vxf_dataset *dataset, const mxArray *given);

#endif
