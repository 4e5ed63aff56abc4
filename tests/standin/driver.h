/* The part of the CUDA driver's interface that the stand-in has. Every function, and what it needs first. */
#ifndef STANDIN_DRIVER_H
#define STANDIN_DRIVER_H

#include <stddef.h>

typedef int CUresult;
typedef int CUdevice;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUgraph_st *CUgraph;
typedef unsigned long long CUdeviceptr;

enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_DEINITIALIZED = 4,
    CUDA_ERROR_STUB_LIBRARY = 34,
    CUDA_ERROR_DEVICE_UNAVAILABLE = 46,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_INVALID_PTX = 218,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_ILLEGAL_STATE = 401,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
    CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
    CUDA_ERROR_LAUNCH_FAILED = 719,
    CUDA_ERROR_SYSTEM_NOT_READY = 802,
    CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
    CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE = 804,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
    CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
    CUDA_ERROR_CAPTURED_EVENT = 907,
    CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
    CUDA_ERROR_UNKNOWN = 999
};

#define CU_STREAM_NON_BLOCKING 1u
#define CU_EVENT_DISABLE_TIMING 2u
#define CU_MEMHOSTALLOC_PORTABLE 1u
enum { CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED };

#define CU_STREAM_LEGACY ((CUstream)1)
#define CU_STREAM_PER_THREAD ((CUstream)2)

/* What must be before a call: nothing, cuInit, or a current context whose work has not failed. */
enum { ANY_TIME, STARTED, IN_CONTEXT };

#define DRIVER_FUNCTIONS(F)             \
    F(cuInit, ANY_TIME)                 \
    F(cuDriverGetVersion, ANY_TIME)     \
    F(cuGetErrorName, ANY_TIME)         \
    F(cuGetErrorString, ANY_TIME)       \
    F(cuDeviceGetCount, STARTED)        \
    F(cuDeviceGet, STARTED)             \
    F(cuDeviceGetName, STARTED)         \
    F(cuDeviceGetAttribute, STARTED)    \
    F(cuDevicePrimaryCtxRetain, STARTED) \
    F(cuDevicePrimaryCtxGetState, STARTED) \
    F(cuCtxPushCurrent_v2, STARTED)     \
    F(cuCtxPopCurrent_v2, STARTED)      \
    F(cuCtxGetCurrent, STARTED)         \
    F(cuCtxSetCurrent, STARTED)         \
    F(cuCtxGetDevice, STARTED)          \
    F(cuCtxSynchronize, IN_CONTEXT)     \
    F(cuCtxGetStreamPriorityRange, IN_CONTEXT) \
    F(cuThreadExchangeStreamCaptureMode, STARTED) \
    F(cuPointerGetAttribute, STARTED)   \
    F(cuPointerGetAttributes, STARTED)  \
    F(cuMemGetInfo_v2, IN_CONTEXT)      \
    F(cuMemHostAlloc, IN_CONTEXT)       \
    F(cuMemFreeHost, IN_CONTEXT)        \
    F(cuMemHostRegister_v2, IN_CONTEXT) \
    F(cuMemHostUnregister, IN_CONTEXT)  \
    F(cuMemAlloc_v2, IN_CONTEXT)        \
    F(cuMemFree_v2, IN_CONTEXT)         \
    F(cuMemcpyHtoDAsync_v2, IN_CONTEXT) \
    F(cuMemcpyDtoHAsync_v2, IN_CONTEXT) \
    F(cuMemcpyDtoDAsync_v2, IN_CONTEXT) \
    F(cuMemsetD8Async, IN_CONTEXT)      \
    F(cuStreamCreate, IN_CONTEXT)       \
    F(cuStreamCreateWithPriority, IN_CONTEXT) \
    F(cuStreamDestroy_v2, IN_CONTEXT)   \
    F(cuStreamGetCtx, IN_CONTEXT)       \
    F(cuStreamBeginCapture_v2, IN_CONTEXT) \
    F(cuStreamEndCapture, IN_CONTEXT)   \
    F(cuStreamIsCapturing, IN_CONTEXT)  \
    F(cuGraphDestroy, STARTED)          \
    F(cuStreamQuery, IN_CONTEXT)        \
    F(cuStreamSynchronize, IN_CONTEXT)  \
    F(cuStreamWaitEvent, IN_CONTEXT)    \
    F(cuEventCreate, IN_CONTEXT)        \
    F(cuEventDestroy_v2, IN_CONTEXT)    \
    F(cuEventRecord, IN_CONTEXT)        \
    F(cuEventQuery, IN_CONTEXT)         \
    F(cuEventSynchronize, IN_CONTEXT)   \
    F(cuModuleLoadData, IN_CONTEXT)     \
    F(cuModuleLoadDataEx, IN_CONTEXT)   \
    F(cuModuleGetFunction, IN_CONTEXT)  \
    F(cuLaunchKernel, IN_CONTEXT)

#pragma GCC visibility push(default)

CUresult cuInit(unsigned flags);
CUresult cuDriverGetVersion(int *version);
CUresult cuGetErrorName(CUresult error, const char **name);
CUresult cuGetErrorString(CUresult error, const char **text);
CUresult cuDeviceGetCount(int *count);
CUresult cuDeviceGet(CUdevice *device, int ordinal);
CUresult cuDeviceGetName(char *name, int length, CUdevice device);
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device);
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device);
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active);
CUresult cuCtxPushCurrent_v2(CUcontext context);
CUresult cuCtxPopCurrent_v2(CUcontext *context);
CUresult cuCtxGetCurrent(CUcontext *context);
CUresult cuCtxSetCurrent(CUcontext context);
CUresult cuCtxGetDevice(CUdevice *device);
CUresult cuCtxSynchronize(void);
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest);
CUresult cuThreadExchangeStreamCaptureMode(int *mode);
CUresult cuPointerGetAttribute(void *value, int attribute, CUdeviceptr pointer);
CUresult cuPointerGetAttributes(unsigned count, int *attributes, void **values, CUdeviceptr pointer);
CUresult cuMemGetInfo_v2(size_t *unused, size_t *total);
CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags);
CUresult cuMemFreeHost(void *pointer);
CUresult cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags);
CUresult cuMemHostUnregister(void *pointer);
CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes);
CUresult cuMemFree_v2(CUdeviceptr pointer);
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream);
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream);
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream);
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream);
CUresult cuStreamCreate(CUstream *stream, unsigned flags);
CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority);
CUresult cuStreamDestroy_v2(CUstream stream);
CUresult cuStreamGetCtx(CUstream stream, CUcontext *context);
CUresult cuStreamBeginCapture_v2(CUstream stream, int mode);
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph);
CUresult cuStreamIsCapturing(CUstream stream, int *status);
CUresult cuGraphDestroy(CUgraph graph);
CUresult cuStreamQuery(CUstream stream);
CUresult cuStreamSynchronize(CUstream stream);
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags);
CUresult cuEventCreate(CUevent *event, unsigned flags);
CUresult cuEventDestroy_v2(CUevent event);
CUresult cuEventRecord(CUevent event, CUstream stream);
CUresult cuEventQuery(CUevent event);
CUresult cuEventSynchronize(CUevent event);
CUresult cuModuleLoadData(CUmodule *module, const void *image);
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values);
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name);
CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void **arguments,
                        void **extra);

#pragma GCC visibility pop

#endif
