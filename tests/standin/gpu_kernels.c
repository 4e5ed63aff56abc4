/* The kernels of tests/gpu as C. */
#include <string.h>
#include <time.h>

#include "kernels.h"

static void let_pass(uint64_t ns) {
    struct timespec span = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&span, NULL);
}

static CUresult busy(const void *arguments, const unsigned *grid, const unsigned *block) {
    uint64_t ns;
    (void)grid, (void)block;
    memcpy(&ns, arguments, sizeof ns);
    let_pass(ns);
    return CUDA_SUCCESS;
}

typedef struct {
    uint64_t data, errors, ns;
    uint32_t count, channels, patch, width, plane, volume, bytes, reserved, start[16];
} compare_arguments;

static CUresult compare(const void *arguments, const unsigned *grid, const unsigned *block) {
    compare_arguments own;
    uint32_t at;
    (void)grid, (void)block;
    memcpy(&own, arguments, sizeof own);
    if (!standin_is_memory(own.data, (uint64_t)own.count * own.bytes) || !standin_is_memory(own.errors, 4))
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    let_pass(own.ns);
    for (at = 0; at < own.count; at++) {
        uint32_t x = at % own.patch, y = at / own.patch % own.patch, z = at / own.patch / own.patch % own.patch;
        uint32_t left = at / own.patch / own.patch / own.patch, found;
        uint32_t number = own.start[left / own.channels] + left % own.channels * own.volume + z * own.plane +
                          y * own.width + x;
        uint32_t value = (number * 40503u >> 3) & (own.bytes == 2 ? 0xffffu : 0xffu);
        if (own.bytes == 2) found = ((const volatile uint16_t *)own.data)[at];
        else found = ((const volatile uint8_t *)own.data)[at];
        if (found != value) __atomic_fetch_add((uint32_t *)own.errors, 1, __ATOMIC_RELAXED);
    }
    return CUDA_SUCCESS;
}

const kernel gpu_kernels[] = {{"vxf_test_busy", sizeof(uint64_t), busy},
                              {"vxf_test_compare", sizeof(compare_arguments), compare},
                              {NULL, 0, NULL}};
