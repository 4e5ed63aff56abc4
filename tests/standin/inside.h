/* What the stand-in's files share. All state is guarded by one lock, every change is told to all who wait. */
#ifndef STANDIN_INSIDE_H
#define STANDIN_INSIDE_H

#include <pthread.h>
#include <stdint.h>

#include "standin.h"

#define FUNCTION_NUMBER(name, needs) AT_##name,
enum { DRIVER_FUNCTIONS(FUNCTION_NUMBER) FUNCTIONS };

enum { DEVICES = 8, STREAMS = 256, EVENTS = 8192, BLOCKS = 8192, THREADS = 4096, DEPTH = 16 };

struct CUctx_st {
    int device;
    uint64_t retained;
    CUresult broken;
    CUstream legacy;
    uint64_t used;
};

typedef struct operation operation;

struct CUstream_st {
    int alive, closing, mine, busy;
    CUcontext context;
    unsigned flags;
    long owner;
    int capture, capture_mode;
    long capturer, kept;
    operation *first, **last;
};

struct CUevent_st {
    int alive, captured;
    CUcontext context;
    uint64_t recorded, reached, pending;
};

typedef enum { DO_COPY, DO_SET, DO_RECORD, DO_WAIT, DO_GATE, DO_WORK, DO_LAUNCH } action;

struct operation {
    operation *next;
    uint64_t number;
    int function;
    action action;
    CUresult failure;
    uint64_t to, from, bytes, generation, gate;
    unsigned char value;
    CUevent event;
    void (*work)(void *);
    void *argument;
};

typedef enum { ON_DEVICE, PINNED, REGISTERED } place;

typedef struct {
    int alive;
    place place;
    CUcontext context;
    unsigned flags;
    uint64_t start, bytes;
} block;

typedef struct {
    long id;
    uint64_t calls[FUNCTIONS];
    long pushed;
} thread;

typedef struct {
    uint64_t allowed, reached;
    int held;
    uint64_t fail_at, run_fail_at, called, run, blocked;
    CUresult failure, run_failure;
} script;

extern pthread_mutex_t standin_lock;
extern pthread_cond_t standin_turn;
extern const char *const function_names[FUNCTIONS];
extern script scripts[FUNCTIONS];
extern struct CUctx_st contexts[2 * DEVICES];
extern struct CUstream_st streams[STREAMS];
extern struct CUevent_st events[EVENTS];
extern block blocks[BLOCKS];
extern uint64_t most_pinned, most_on_device;
extern int ignored_waits, ignored_retires, ignored_synchronizations, ignored_modes;

/* Calls: `enter` locks, counts and logs, and says why the call fails, if it does; `leave` unlocks. */
CUresult enter(int function, standin_entry details);
CUresult leave(CUresult result);
CUcontext current(void);
int visible_devices(int *shown);
thread *this_thread(void);
void log_run(const operation *operation, CUstream stream, CUresult result);
void violation(const char *format, ...);

/* Streams. */
CUstream resolve(CUstream handle, CUcontext context);
CUstream open_stream(CUcontext context, unsigned flags, long owner);
CUresult enqueue(CUstream stream, operation operation);
int is_idle(CUstream stream);
int is_stuck(CUstream stream);
int is_wanted(uint64_t start, uint64_t bytes);
int is_event(CUevent event);

/* Captures: why one forbids a call, if it does; whether a context has one of a stream without these flags. */
enum { CAPTURE_NONE, CAPTURE_ACTIVE, CAPTURE_BROKEN };
CUresult forbidden_by_capture(int function);
int is_capturing(CUcontext context, unsigned without);
CUresult break_capture(CUstream stream, CUresult result, const char *what);

/* Memory. */
block *block_of(uint64_t address, uint64_t bytes);

/* Kernels: runs and frees what cuLaunchKernel copied. */
typedef struct launch launch;
CUresult run_launch(void *launch);

/* The context whose work this thread runs; none where it is the program's. */
extern __thread CUcontext running;

#endif
