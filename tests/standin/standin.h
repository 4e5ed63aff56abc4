/* How a test program looks into the stand-in and steers it. Nothing here is counted or logged.
 *
 * The stand-in keeps time as the driver does: every stream is a thread that runs its operations in order,
 * an event that is waited for must have been reached, and a copy reads and writes at its own time, not at the
 * time of the call. Operations can be held at a gate, so that what is not ordered properly goes wrong every time.
 *
 * For a whole process, by the environment:
 *   STANDIN_DEVICES=2     the number of devices; CUDA_VISIBLE_DEVICES masks them
 *   STANDIN_VERSION=12020 what cuDriverGetVersion gives
 *   STANDIN_INIT=0        what cuInit gives
 *   STANDIN_MEMORY=bytes  the memory of a device, 1 GiB
 *   STANDIN_PINNED=bytes  how much host memory may be pinned, 1 GiB
 *   STANDIN_FAIL=cuX:3:2  the calls of cuX fail with 2 after three that do not
 *   STANDIN_RUN_FAIL=cuX:3:700  the operation of cuX fails on the device after three that do not
 *   STANDIN_IGNORE=wait   one of: wait (of the program's streams), retire (waits of all other streams), host
 *                         (cuEventSynchronize returns at once), mode (of threads beside captures): the mutations
 *                         that tests must notice
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdint.h>

#include "driver.h"

#define STANDIN_ALL UINT64_MAX

#pragma GCC visibility push(default)

/* The number that the calls of this thread are counted under. */
long standin_thread(void);

/* How many calls were made of the functions with this text in their names, by one thread, or by all: 0. */
uint64_t standin_calls(const char *part, long thread);

/* How many operations that those functions enqueued have been run. */
uint64_t standin_runs(const char *part);

/* Waits until there are so many calls, or runs; 0 where that takes 60 seconds. */
int standin_await_calls(const char *part, uint64_t count);
int standin_await_runs(const char *part, uint64_t count);

/* Waits until a thread waits in this function for what has not happened. */
int standin_await_blocked(const char *function);

/* Waits until a thread waits for an event, or there are so many calls. */
int standin_await_calls_or_blocked(const char *part, uint64_t count);

/* Waits until every stream is idle or waits for something; 0 where that takes 60 seconds. */
int standin_settle(void);

/* What a process should not do though a driver may let it pass, as sentences; NULL beyond the last. */
const char *standin_violation(uint64_t number);

/* What has not been given back, and how uneven a thread's (0: all threads') pushes and pops are. */
typedef struct {
    uint64_t device_blocks, device_bytes, pinned_blocks, pinned_bytes, streams, events;
} standin_held;
standin_held standin_holds(void);

/* Waits until everything has been given back, and all other threads' pushes are popped; 0 after 60 seconds. */
int standin_await_nothing_held(void);
long standin_unpopped(long thread);

/* The program's own streams and work on them. `finish` waits for all that was enqueued. */
CUstream standin_stream(CUcontext context, unsigned flags);
void standin_mine(CUstream stream);
void standin_do(CUcontext context, CUstream stream, void (*work)(void *), void *argument);
void standin_finish(CUcontext context, CUstream stream);

/* A context of a device that is not its primary one. */
CUcontext standin_context(int device);

/* Begins to capture a stream of the program's into a graph: what it is given is kept and not done. The end says how
 * many operations were kept, and -1 where the capture was broken meanwhile. */
void standin_capture(CUstream stream, int mode);
long standin_captured(CUstream stream);

/* A gate in a stream: what is enqueued after it waits until it is opened. */
uint64_t standin_gate(CUcontext context, CUstream stream);
void standin_open(uint64_t gate);

/* Holds the operations of a function from now on until so many more are let through; a closed function stays closed. */
void standin_hold(const char *function);
void standin_let(const char *function, uint64_t count);

/* The call, or the operation on the device, fails after so many more that do not; the latter breaks its context.
 * CUDA_SUCCESS ends it. */
void standin_fail(const char *function, uint64_t after, CUresult error);
void standin_run_fail(const char *function, uint64_t after, CUresult error);

/* From here on the driver is gone, as it is when a process exits: every call says so. */
void standin_go(void);

/* The log: calls and, with `ran`, operations as they were run; 0 beyond its end. */
typedef struct {
    const char *function;
    long thread;
    int32_t ran, result;
    CUstream stream;
    CUevent event;
    uint64_t to, from, bytes;
} standin_entry;
int standin_log(uint64_t number, standin_entry *entry);

#pragma GCC visibility pop

#endif
