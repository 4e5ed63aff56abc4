/* Devices, their contexts, what is current on which thread, and the names of errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"

/* The primary ones, and one more of each device. */
struct CUctx_st contexts[2 * DEVICES];

static __thread CUcontext stack[DEPTH];
static __thread int depth;

CUcontext current(void) { return depth > 0 ? stack[depth - 1] : NULL; }

static int is_context(CUcontext context) {
    return context >= contexts && context < contexts + 2 * DEVICES && context->retained > 0;
}

/* The devices that are there and that CUDA_VISIBLE_DEVICES shows, as the driver reads it: up to the first
 * number that is none. */
int visible_devices(int *shown) {
    const char *all = getenv("STANDIN_DEVICES"), *mask = getenv("CUDA_VISIBLE_DEVICES");
    int there = all ? atoi(all) : 2, count = 0;
    char *end;
    if (!mask) {
        for (; count < there && count < DEVICES; count++) shown[count] = count;
        return count;
    }
    while (count < DEVICES) {
        long number = strtol(mask, &end, 10);
        if (end == mask || number < 0 || number >= there) break;
        shown[count++] = (int)number;
        if (*end != ',') break;
        mask = end + 1;
    }
    return count;
}

CUresult cuDriverGetVersion(int *version) {
    const char *number = getenv("STANDIN_VERSION");
    CUresult result = enter(AT_cuDriverGetVersion, (standin_entry){0});
    if (result == CUDA_SUCCESS) *version = number ? atoi(number) : 12020;
    return leave(result);
}

#define ERRORS(E)                                                                     \
    E(CUDA_SUCCESS, "no error")                                                       \
    E(CUDA_ERROR_INVALID_VALUE, "invalid argument")                                   \
    E(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")                                      \
    E(CUDA_ERROR_NOT_INITIALIZED, "initialization error")                             \
    E(CUDA_ERROR_DEINITIALIZED, "driver shutting down")                               \
    E(CUDA_ERROR_STUB_LIBRARY, "CUDA driver is a stub library")                       \
    E(CUDA_ERROR_DEVICE_UNAVAILABLE, "CUDA-capable device(s) is/are busy or unavailable") \
    E(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected")                     \
    E(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal")                            \
    E(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid")                     \
    E(CUDA_ERROR_INVALID_CONTEXT, "invalid device context")                           \
    E(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed")                         \
    E(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle")                           \
    E(CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state") \
    E(CUDA_ERROR_NOT_FOUND, "named symbol not found")                                 \
    E(CUDA_ERROR_NOT_READY, "device not ready")                                       \
    E(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")         \
    E(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "part or all of the requested memory range is already mapped") \
    E(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "pointer does not correspond to a registered memory region")       \
    E(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")                         \
    E(CUDA_ERROR_SYSTEM_NOT_READY, "system not yet initialized")                      \
    E(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "system has unsupported display driver / cuda driver combination") \
    E(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, "forward compatibility was attempted on non supported HW") \
    E(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing") \
    E(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture") \
    E(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream") \
    E(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "operation would make the legacy stream depend on a capturing blocking stream") \
    E(CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream") \
    E(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "attempt to terminate a thread-local capture sequence from another thread") \
    E(CUDA_ERROR_UNKNOWN, "unknown error")

#define ERROR_NAME(error, text) case error: return #error;
#define ERROR_TEXT(error, text) case error: return text;

static const char *name_of(CUresult error) {
    switch (error) { ERRORS(ERROR_NAME) }
    return NULL;
}

static const char *text_of(CUresult error) {
    switch (error) { ERRORS(ERROR_TEXT) }
    return NULL;
}

CUresult cuGetErrorName(CUresult error, const char **name) {
    *name = name_of(error);
    return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = text_of(error);
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *count) {
    int shown[DEVICES];
    CUresult result = enter(AT_cuDeviceGetCount, (standin_entry){0});
    if (result == CUDA_SUCCESS) *count = visible_devices(shown);
    return leave(result);
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    int shown[DEVICES];
    CUresult result = enter(AT_cuDeviceGet, (standin_entry){0});
    if (result == CUDA_SUCCESS && (ordinal < 0 || ordinal >= visible_devices(shown)))
        result = CUDA_ERROR_INVALID_DEVICE;
    if (result == CUDA_SUCCESS) *device = ordinal;
    return leave(result);
}

static CUresult check_device(CUdevice device) {
    int shown[DEVICES];
    return device >= 0 && device < visible_devices(shown) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    int shown[DEVICES];
    CUresult result = enter(AT_cuDeviceGetName, (standin_entry){0});
    if (result == CUDA_SUCCESS) result = check_device(device);
    if (result == CUDA_SUCCESS && length <= 0) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        visible_devices(shown);
        snprintf(name, (size_t)length, "Stand-in %d", shown[device]);
    }
    return leave(result);
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    /* Threads a block, widest grid, multiprocessors, engines, unified addresses, compute capability, registering. */
    static const int known[][2] = {{1, 1024}, {5, 2147483647}, {6, 65535}, {7, 65535}, {10, 32}, {16, 4},
                                   {40, 2},   {41, 1},         {75, 9},    {76, 0},    {91, 1}};
    CUresult result = enter(AT_cuDeviceGetAttribute, (standin_entry){0});
    size_t k;
    if (result == CUDA_SUCCESS) result = check_device(device);
    if (result == CUDA_SUCCESS && attribute <= 0) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        *value = 0;
        for (k = 0; k < sizeof known / sizeof known[0]; k++)
            if (known[k][0] == attribute) *value = known[k][1];
    }
    return leave(result);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    CUresult result = enter(AT_cuDevicePrimaryCtxRetain, (standin_entry){0});
    if (result == CUDA_SUCCESS) result = check_device(device);
    if (result == CUDA_SUCCESS) {
        contexts[device].device = device;
        contexts[device].retained++;
        *context = &contexts[device];
    }
    return leave(result);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    CUresult result = enter(AT_cuDevicePrimaryCtxGetState, (standin_entry){0});
    if (result == CUDA_SUCCESS) result = check_device(device);
    if (result == CUDA_SUCCESS) *flags = 0, *active = contexts[device].retained > 0;
    return leave(result);
}

CUcontext standin_context(int device) {
    CUcontext context = &contexts[DEVICES + device];
    pthread_mutex_lock(&standin_lock);
    context->device = device;
    context->retained = 1;
    pthread_mutex_unlock(&standin_lock);
    return context;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    CUresult result = enter(AT_cuCtxGetStreamPriorityRange, (standin_entry){0});
    if (result == CUDA_SUCCESS) *least = 0, *greatest = -5;
    return leave(result);
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    CUresult result = enter(AT_cuCtxPushCurrent_v2, (standin_entry){0});
    if (result == CUDA_SUCCESS && !is_context(context)) result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS && depth == DEPTH) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) {
        stack[depth++] = context;
        this_thread()->pushed++;
    }
    return leave(result);
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    CUresult result = enter(AT_cuCtxPopCurrent_v2, (standin_entry){0});
    if (result == CUDA_SUCCESS && depth == 0) {
        violation("thread %ld pops a context though it has none", standin_thread());
        result = CUDA_ERROR_INVALID_CONTEXT;
    }
    if (result == CUDA_SUCCESS) {
        depth--;
        if (context) *context = stack[depth];
        this_thread()->pushed--;
    }
    return leave(result);
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    CUresult result = enter(AT_cuCtxGetCurrent, (standin_entry){0});
    if (result == CUDA_SUCCESS) *context = current();
    return leave(result);
}

CUresult cuCtxSetCurrent(CUcontext context) {
    CUresult result = enter(AT_cuCtxSetCurrent, (standin_entry){0});
    if (result == CUDA_SUCCESS && context && !is_context(context)) result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS) {
        if (depth > 0) depth--;
        if (context) stack[depth++] = context;
    }
    return leave(result);
}

CUresult cuCtxGetDevice(CUdevice *device) {
    CUresult result = enter(AT_cuCtxGetDevice, (standin_entry){0});
    if (result == CUDA_SUCCESS && !current()) result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS) *device = current()->device;
    return leave(result);
}
