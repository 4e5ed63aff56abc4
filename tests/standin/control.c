/* Counting, logging and scripting of calls, and what a test program asks. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "inside.h"

enum { ENTRIES = 1 << 16, VIOLATIONS = 64, SENTENCE = 200 };

pthread_mutex_t standin_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t standin_turn = PTHREAD_COND_INITIALIZER;

#define FUNCTION_NAME(name, needs) #name,
#define FUNCTION_NEEDS(name, needs) needs,
const char *const function_names[FUNCTIONS] = {DRIVER_FUNCTIONS(FUNCTION_NAME)};
static const int function_needs[FUNCTIONS] = {DRIVER_FUNCTIONS(FUNCTION_NEEDS)};

script scripts[FUNCTIONS];
int ignored_waits, ignored_retires, ignored_synchronizations, ignored_modes;
uint64_t most_pinned = (uint64_t)1 << 30, most_on_device = (uint64_t)1 << 30;

static thread threads[THREADS];
static standin_entry entries[ENTRIES];
static uint64_t entry_count;
static char violations[VIOLATIONS][SENTENCE];
static uint64_t violation_count;
static int is_started, is_gone;

long standin_thread(void) {
    static __thread long own;
    if (!own) own = (long)syscall(SYS_gettid);
    return own;
}

thread *this_thread(void) {
    long id = standin_thread();
    int k;
    for (k = 0; k < THREADS; k++) {
        if (threads[k].id == 0) threads[k].id = id;
        if (threads[k].id == id) return &threads[k];
    }
    fprintf(stderr, "stand-in: more than %d threads\n", THREADS);
    abort();
}

void violation(const char *format, ...) {
    va_list arguments;
    if (violation_count >= VIOLATIONS) return;
    va_start(arguments, format);
    vsnprintf(violations[violation_count++], SENTENCE, format, arguments);
    va_end(arguments);
}

const char *standin_violation(uint64_t number) {
    const char *text;
    pthread_mutex_lock(&standin_lock);
    text = number < violation_count ? violations[number] : NULL;
    pthread_mutex_unlock(&standin_lock);
    return text;
}

/* The first function with this name; a typing error in a test must not go unnoticed. */
static int number_of(const char *name, size_t length) {
    int k;
    for (k = 0; k < FUNCTIONS; k++)
        if (strlen(function_names[k]) == length && !strncmp(function_names[k], name, length)) return k;
    fprintf(stderr, "stand-in: no function %.*s\n", (int)length, name);
    abort();
}

static void script_from(const char *text, int runs) {
    const char *colon = text ? strchr(text, ':') : NULL;
    unsigned long long after;
    int code;
    script *script;
    if (!colon || sscanf(colon, ":%llu:%d", &after, &code) != 2) return;
    script = &scripts[number_of(text, (size_t)(colon - text))];
    *(runs ? &script->run_fail_at : &script->fail_at) = after;
    *(runs ? &script->run_failure : &script->failure) = code;
}

/* The process that loaded the driver: in a forked one a thread that is not there may hold the lock for ever. */
static pid_t process;

__attribute__((constructor)) static void read_environment(void) {
    process = getpid();
    const char *ignored = getenv("STANDIN_IGNORE"), *number;
    script_from(getenv("STANDIN_FAIL"), 0);
    script_from(getenv("STANDIN_RUN_FAIL"), 1);
    if ((number = getenv("STANDIN_MEMORY"))) most_on_device = strtoull(number, NULL, 10);
    if ((number = getenv("STANDIN_PINNED"))) most_pinned = strtoull(number, NULL, 10);
    ignored_waits = ignored && !strcmp(ignored, "wait");
    ignored_retires = ignored && !strcmp(ignored, "retire");
    ignored_synchronizations = ignored && !strcmp(ignored, "host");
    ignored_modes = ignored && !strcmp(ignored, "mode");
}

__attribute__((destructor)) void standin_go(void) {
    if (getpid() != process) return;
    pthread_mutex_lock(&standin_lock);
    is_gone = 1;
    pthread_mutex_unlock(&standin_lock);
}

static void log_entry(standin_entry entry) {
    if (entry_count < ENTRIES) entries[entry_count++] = entry;
    else if (entry_count == ENTRIES) violation("the log is full"), entry_count++;
}

CUresult enter(int function, standin_entry details) {
    CUresult result = CUDA_SUCCESS;
    CUcontext context;
    script *script = &scripts[function];
    pthread_mutex_lock(&standin_lock);
    this_thread()->calls[function]++;
    context = current();
    if (is_gone) result = CUDA_ERROR_DEINITIALIZED;
    else if (script->failure && script->called >= script->fail_at) result = script->failure;
    else if (function_needs[function] != ANY_TIME && !is_started) result = CUDA_ERROR_NOT_INITIALIZED;
    else if (function_needs[function] == IN_CONTEXT && !context) result = CUDA_ERROR_INVALID_CONTEXT;
    else if (function_needs[function] == IN_CONTEXT && context->broken) result = context->broken;
    else if (function_needs[function] == IN_CONTEXT) result = forbidden_by_capture(function);
    script->called++;
    details.function = function_names[function];
    details.thread = standin_thread();
    details.result = result;
    log_entry(details);
    return result;
}

CUresult leave(CUresult result) {
    pthread_cond_broadcast(&standin_turn);
    pthread_mutex_unlock(&standin_lock);
    return result;
}

void log_run(const operation *operation, CUstream stream, CUresult result) {
    standin_entry entry = {0};
    entry.function = function_names[operation->function];
    entry.ran = 1;
    entry.result = result;
    entry.stream = stream;
    entry.event = operation->event;
    entry.to = operation->to;
    entry.from = operation->from;
    entry.bytes = operation->bytes;
    log_entry(entry);
}

int standin_log(uint64_t number, standin_entry *entry) {
    int found;
    pthread_mutex_lock(&standin_lock);
    found = number < entry_count && number < ENTRIES;
    if (found) *entry = entries[number];
    pthread_mutex_unlock(&standin_lock);
    return found;
}

static uint64_t calls_now(const char *part, long id) {
    uint64_t sum = 0;
    int k, function;
    for (k = 0; k < THREADS && threads[k].id; k++)
        for (function = 0; function < FUNCTIONS && (!id || threads[k].id == id); function++)
            if (strstr(function_names[function], part)) sum += threads[k].calls[function];
    return sum;
}

static uint64_t runs_now(const char *part, long unused) {
    uint64_t sum = 0;
    int function;
    (void)unused;
    for (function = 0; function < FUNCTIONS; function++)
        if (strstr(function_names[function], part)) sum += scripts[function].run;
    return sum;
}

uint64_t standin_calls(const char *part, long id) {
    uint64_t sum;
    pthread_mutex_lock(&standin_lock);
    sum = calls_now(part, id);
    pthread_mutex_unlock(&standin_lock);
    return sum;
}

uint64_t standin_runs(const char *part) {
    uint64_t sum;
    pthread_mutex_lock(&standin_lock);
    sum = runs_now(part, 0);
    pthread_mutex_unlock(&standin_lock);
    return sum;
}

static struct timespec deadline(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    return until;
}

static int await_count(uint64_t (*now)(const char *, long), const char *part, uint64_t count) {
    struct timespec until = deadline();
    int late = 0;
    pthread_mutex_lock(&standin_lock);
    while (now(part, 0) < count && !late) late = pthread_cond_timedwait(&standin_turn, &standin_lock, &until);
    pthread_mutex_unlock(&standin_lock);
    return !late;
}

int standin_await_calls(const char *part, uint64_t count) { return await_count(calls_now, part, count); }
int standin_await_runs(const char *part, uint64_t count) { return await_count(runs_now, part, count); }

static uint64_t blocked_now(const char *function, long unused) {
    (void)unused;
    return scripts[number_of(function, strlen(function))].blocked;
}

int standin_await_blocked(const char *function) { return await_count(blocked_now, function, 1); }

static uint64_t calls_or_blocked(const char *part, long unused) {
    return blocked_now("cuEventSynchronize", unused) ? STANDIN_ALL : calls_now(part, 0);
}

int standin_await_calls_or_blocked(const char *part, uint64_t count) {
    return await_count(calls_or_blocked, part, count);
}

int standin_settle(void) {
    struct timespec until = deadline();
    int late = 0, moving = 1, k;
    pthread_mutex_lock(&standin_lock);
    while (moving && !late) {
        for (k = 0, moving = 0; k < STREAMS; k++)
            if (streams[k].alive && !is_idle(&streams[k]) && !is_stuck(&streams[k])) moving = 1;
        if (moving) late = pthread_cond_timedwait(&standin_turn, &standin_lock, &until);
    }
    pthread_mutex_unlock(&standin_lock);
    return !late;
}

long standin_unpopped(long id) {
    long sum = 0;
    int k;
    pthread_mutex_lock(&standin_lock);
    for (k = 0; k < THREADS && threads[k].id; k++)
        if (!id || threads[k].id == id) sum += threads[k].pushed;
    pthread_mutex_unlock(&standin_lock);
    return sum;
}

static standin_held held_now(void) {
    standin_held held = {0, 0, 0, 0, 0, 0};
    int k;
    for (k = 0; k < BLOCKS; k++) {
        if (!blocks[k].alive) continue;
        if (blocks[k].place == ON_DEVICE) held.device_blocks++, held.device_bytes += blocks[k].bytes;
        else held.pinned_blocks++, held.pinned_bytes += blocks[k].bytes;
    }
    for (k = 0; k < STREAMS; k++) held.streams += streams[k].alive && !streams[k].closing && !streams[k].mine;
    for (k = 0; k < EVENTS; k++) held.events += (uint64_t)events[k].alive;
    return held;
}

standin_held standin_holds(void) {
    standin_held held;
    pthread_mutex_lock(&standin_lock);
    held = held_now();
    pthread_mutex_unlock(&standin_lock);
    return held;
}

static uint64_t is_nothing_held(const char *unused, long none) {
    standin_held held = held_now();
    long own = standin_thread(), pushed = 0;
    int k;
    (void)unused, (void)none;
    for (k = 0; k < THREADS && threads[k].id; k++) pushed += threads[k].id == own ? 0 : threads[k].pushed;
    return !(held.device_blocks || held.pinned_blocks || held.streams || held.events || pushed);
}

int standin_await_nothing_held(void) { return await_count(is_nothing_held, "", 1); }

void standin_fail(const char *function, uint64_t after, CUresult error) {
    script *script = &scripts[number_of(function, strlen(function))];
    pthread_mutex_lock(&standin_lock);
    script->fail_at = script->called + after;
    script->failure = error;
    pthread_mutex_unlock(&standin_lock);
}

void standin_run_fail(const char *function, uint64_t after, CUresult error) {
    script *script = &scripts[number_of(function, strlen(function))];
    pthread_mutex_lock(&standin_lock);
    script->run_fail_at = script->run + after;
    script->run_failure = error;
    pthread_mutex_unlock(&standin_lock);
}

void standin_hold(const char *function) {
    script *script = &scripts[number_of(function, strlen(function))];
    pthread_mutex_lock(&standin_lock);
    script->held = 1;
    script->allowed = script->reached;
    pthread_mutex_unlock(&standin_lock);
}

void standin_let(const char *function, uint64_t count) {
    script *script = &scripts[number_of(function, strlen(function))];
    pthread_mutex_lock(&standin_lock);
    script->allowed = count > STANDIN_ALL - script->allowed ? STANDIN_ALL : script->allowed + count;
    pthread_cond_broadcast(&standin_turn);
    pthread_mutex_unlock(&standin_lock);
}

/* cuInit is here because it alone changes what every other call asks. */
CUresult cuInit(unsigned flags) {
    const char *number = getenv("STANDIN_INIT");
    CUresult result = enter(AT_cuInit, (standin_entry){0});
    int shown[DEVICES];
    if (result == CUDA_SUCCESS && flags) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && number) result = atoi(number);
    if (result == CUDA_SUCCESS && visible_devices(shown) == 0) result = CUDA_ERROR_NO_DEVICE;
    if (result == CUDA_SUCCESS) is_started = 1;
    return leave(result);
}
