/* Device memory, which is host memory that a copy must ask for, pinned memory, and the copies. */
#include <stdlib.h>
#include <string.h>

#include "inside.h"

block blocks[BLOCKS];

/* The block that all of these bytes lie in. */
block *block_of(uint64_t address, uint64_t bytes) {
    int k;
    for (k = 0; k < BLOCKS; k++) {
        block *block = &blocks[k];
        if (!block->alive || address < block->start || address - block->start > block->bytes) continue;
        if (bytes <= block->bytes - (address - block->start) && address - block->start < block->bytes) return block;
    }
    return NULL;
}

static int overlaps(uint64_t start, uint64_t bytes) {
    int k;
    for (k = 0; k < BLOCKS; k++)
        if (blocks[k].alive && start < blocks[k].start + blocks[k].bytes && blocks[k].start < start + bytes) return 1;
    return 0;
}

static uint64_t pinned_bytes(void) {
    uint64_t sum = 0;
    int k;
    for (k = 0; k < BLOCKS; k++) sum += blocks[k].alive && blocks[k].place != ON_DEVICE ? blocks[k].bytes : 0;
    return sum;
}

static CUresult keep(place place, void *start, uint64_t bytes, unsigned flags) {
    int k;
    for (k = 0; k < BLOCKS && blocks[k].alive; k++) continue;
    if (k == BLOCKS) return CUDA_ERROR_OUT_OF_MEMORY;
    blocks[k] = (block){1, place, current(), flags, (uint64_t)(uintptr_t)start, bytes};
    return CUDA_SUCCESS;
}

/* New memory is full of a pattern, so that what nobody wrote is not taken for zeros. */
static CUresult new_block(place place, uint64_t *address, size_t bytes, unsigned flags) {
    void *start = NULL;
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (posix_memalign(&start, 4096, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
    if (keep(place, start, bytes, flags)) {
        free(start);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memset(start, 0xCD, bytes);
    *address = (uint64_t)(uintptr_t)start;
    return CUDA_SUCCESS;
}

/* Freed memory is full of another pattern as long as it can be seen. */
static CUresult free_block(place place, uint64_t address) {
    block *block = block_of(address, 1);
    if (!block || block->place != place || block->start != address) {
        violation("memory is freed that was not allocated so");
        return CUDA_ERROR_INVALID_VALUE;
    }
    block->alive = 0;
    if (place == ON_DEVICE && block->context != current())
        violation("device memory is freed in the context of another device");
    if (is_wanted(address, block->bytes)) {
        /* The driver would wait here; this one says so and leaves the bytes to whom wants them. */
        violation("memory is freed that a copy is still to use");
        return CUDA_SUCCESS;
    }
    memset((void *)address, 0xDD, block->bytes);
    free((void *)address);
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *unused, size_t *total) {
    CUresult result = enter(AT_cuMemGetInfo_v2, (standin_entry){0});
    if (result == CUDA_SUCCESS) {
        *total = most_on_device;
        *unused = most_on_device - current()->used;
    }
    return leave(result);
}

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
    CUresult result = enter(AT_cuMemAlloc_v2, (standin_entry){.bytes = bytes});
    uint64_t address = 0;
    if (result == CUDA_SUCCESS && bytes > most_on_device - current()->used) result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) result = new_block(ON_DEVICE, &address, bytes, 0);
    if (result == CUDA_SUCCESS) {
        current()->used += bytes;
        *pointer = address;
    }
    return leave(result);
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
    CUresult result = enter(AT_cuMemFree_v2, (standin_entry){.to = pointer});
    block *block = pointer ? block_of(pointer, 1) : NULL;
    if (result == CUDA_SUCCESS && block) block->context->used -= block->bytes;
    if (result == CUDA_SUCCESS && pointer) result = free_block(ON_DEVICE, pointer);
    return leave(result);
}

CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    CUresult result = enter(AT_cuMemHostAlloc, (standin_entry){.bytes = bytes});
    uint64_t address = 0;
    if (result == CUDA_SUCCESS && bytes > most_pinned - pinned_bytes()) result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) result = new_block(PINNED, &address, bytes, flags);
    if (result == CUDA_SUCCESS) *pointer = (void *)address;
    return leave(result);
}

CUresult cuMemFreeHost(void *pointer) {
    CUresult result = enter(AT_cuMemFreeHost, (standin_entry){.to = (uint64_t)pointer});
    if (result == CUDA_SUCCESS) result = free_block(PINNED, (uint64_t)pointer);
    return leave(result);
}

CUresult cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags) {
    CUresult result = enter(AT_cuMemHostRegister_v2, (standin_entry){.to = (uint64_t)pointer, .bytes = bytes});
    if (result == CUDA_SUCCESS && (!pointer || !bytes)) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && overlaps((uint64_t)pointer, bytes))
        result = CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    if (result == CUDA_SUCCESS && bytes > most_pinned - pinned_bytes()) result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) result = keep(REGISTERED, pointer, bytes, flags);
    return leave(result);
}

CUresult cuMemHostUnregister(void *pointer) {
    CUresult result = enter(AT_cuMemHostUnregister, (standin_entry){.to = (uint64_t)pointer});
    block *block = block_of((uint64_t)pointer, 1);
    if (result == CUDA_SUCCESS && (!block || block->place != REGISTERED || block->start != (uint64_t)pointer))
        result = CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    if (result == CUDA_SUCCESS && is_wanted(block->start, block->bytes))
        violation("memory is no longer pinned that a copy is still to use");
    if (result == CUDA_SUCCESS) block->alive = 0;
    return leave(result);
}

static CUresult attribute_of(const block *block, void *value, int attribute, CUdeviceptr pointer) {
    enum { CONTEXT = 1, KIND, DEVICE_POINTER, HOST_POINTER, MANAGED = 8, ORDINAL = 9, START = 11, SIZE = 12 };
    switch (attribute) {
    case CONTEXT: *(CUcontext *)value = block->context; break;
    case KIND: *(unsigned *)value = block->place == ON_DEVICE ? 2 : 1; break;
    case DEVICE_POINTER: *(CUdeviceptr *)value = pointer; break;
    case MANAGED: *(unsigned char *)value = 0; break;
    case ORDINAL: *(int *)value = block->context->device; break;
    case START: *(CUdeviceptr *)value = block->start; break;
    case SIZE: *(size_t *)value = block->bytes; break;
    case HOST_POINTER:
        if (block->place == ON_DEVICE) return CUDA_ERROR_INVALID_VALUE;
        *(void **)value = (void *)pointer;
        break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void *value, int attribute, CUdeviceptr pointer) {
    CUresult result = enter(AT_cuPointerGetAttribute, (standin_entry){.from = pointer});
    block *block = block_of(pointer, 1);
    if (result == CUDA_SUCCESS && !block) result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS) result = attribute_of(block, value, attribute, pointer);
    return leave(result);
}

/* Of an address that it does not know it says that the memory is of no kind and of no device; others are not asked. */
CUresult cuPointerGetAttributes(unsigned count, int *attributes, void **values, CUdeviceptr pointer) {
    enum { KIND = 2, MANAGED = 8, ORDINAL = 9 };
    CUresult result = enter(AT_cuPointerGetAttributes, (standin_entry){.from = pointer});
    block *block = block_of(pointer, 1);
    unsigned k;
    for (k = 0; k < count && result == CUDA_SUCCESS; k++) {
        if (block) result = attribute_of(block, values[k], attributes[k], pointer);
        else if (attributes[k] == KIND) *(unsigned *)values[k] = 0;
        else if (attributes[k] == MANAGED) *(unsigned char *)values[k] = 0;
        else if (attributes[k] == ORDINAL) *(int *)values[k] = -2;
        else result = CUDA_ERROR_INVALID_VALUE;
    }
    return leave(result);
}

static CUresult check_device(uint64_t address, uint64_t bytes, CUstream stream) {
    block *block = block_of(address, bytes);
    if (!block || block->place != ON_DEVICE) return CUDA_ERROR_INVALID_VALUE;
    if (block->context == stream->context) return CUDA_SUCCESS;
    violation("memory of one device is used on a stream of another");
    return CUDA_ERROR_INVALID_VALUE;
}

/* Host memory that is not pinned is copied too, but the driver waits there, so that nobody gains by it. */
static CUresult check_host(uint64_t address, uint64_t bytes, CUstream stream, int reads) {
    block *block = block_of(address, bytes);
    if (block && block->place == ON_DEVICE) return CUDA_ERROR_INVALID_VALUE;
    if (!block && block_of(address, 1)) return CUDA_ERROR_INVALID_VALUE;
    if (!block && reads) violation("a copy of memory that is not pinned");
    if (block && !(block->flags & CU_MEMHOSTALLOC_PORTABLE) && block->context != stream->context)
        violation("memory that is not portable is used on another device");
    return CUDA_SUCCESS;
}

static CUresult start(CUstream stream, operation what) {
    CUresult result;
    if (!(stream = resolve(stream, current()))) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->context != current()) {
        violation("a stream is used in the context of another device");
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (what.bytes == 0) return CUDA_SUCCESS;
    result = what.function == AT_cuMemcpyDtoHAsync_v2 ? check_host(what.to, what.bytes, stream, 0)
                                                      : check_device(what.to, what.bytes, stream);
    if (result == CUDA_SUCCESS && what.action == DO_COPY)
        result = what.function == AT_cuMemcpyHtoDAsync_v2 ? check_host(what.from, what.bytes, stream, 1)
                                                          : check_device(what.from, what.bytes, stream);
    return result == CUDA_SUCCESS ? enqueue(stream, what) : result;
}

static CUresult copy(int function, uint64_t to, uint64_t from, uint64_t bytes, CUstream stream) {
    CUresult result = enter(function, (standin_entry){.stream = stream, .to = to, .from = from, .bytes = bytes});
    operation what = {.function = function, .action = DO_COPY, .to = to, .from = from, .bytes = bytes};
    return leave(result == CUDA_SUCCESS ? start(stream, what) : result);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    return copy(AT_cuMemcpyHtoDAsync_v2, to, (uint64_t)from, bytes, stream);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy(AT_cuMemcpyDtoHAsync_v2, (uint64_t)to, from, bytes, stream);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy(AT_cuMemcpyDtoDAsync_v2, to, from, bytes, stream);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
    CUresult result = enter(AT_cuMemsetD8Async, (standin_entry){.stream = stream, .to = to, .bytes = bytes});
    operation what = {.function = AT_cuMemsetD8Async, .action = DO_SET, .to = to, .bytes = bytes, .value = value};
    return leave(result == CUDA_SUCCESS ? start(stream, what) : result);
}
