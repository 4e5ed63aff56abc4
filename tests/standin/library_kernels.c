/* The kernels of the library: their own source, compiled as C, voxel after voxel as a GPU would do at once.
 * With FLUSHES, subnormal singles are zeros from then on, as in kernels that are compiled so. */
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#pragma GCC diagnostic ignored "-Wint-to-pointer-cast"
#include "../../src/sys/cuda/kernels/kernels.cu"

static uint64_t bytes_of(uint32_t dtype) { return (dtype & 0xff) / 8; }

/* Threads stride over what the launch does not reach at once; a launch without any does nothing. */
static int is_launch(const unsigned *grid, const unsigned *block) {
    return grid[2] == 1 && block[1] == 1 && block[2] == 1;
}

static CUresult convert(const void *arguments, const unsigned *grid, const unsigned *block) {
    convert_arguments all;
    uint64_t voxels, planes, plane, place;
    memcpy(&all, arguments, sizeof all);
    voxels = (uint64_t)all.extents[0] * all.extents[1] * all.extents[2];
    planes = (uint64_t)all.rows * all.channels;
    if (!is_launch(grid, block) || voxels >> 31 || planes >> 31) return CUDA_ERROR_LAUNCH_FAILED;
    if (!standin_is_memory(all.source, planes * voxels * bytes_of(all.from))) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (!standin_is_memory(all.target, planes * voxels * bytes_of(all.into))) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (!standin_is_memory(all.pairs, all.pair_count * 16)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (all.masks && !standin_is_memory(all.masks, all.rows)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (all.statistics && !standin_is_memory(all.statistics, (all.is_of_each_row ? planes : all.channels) * 8))
        return CUDA_ERROR_ILLEGAL_ADDRESS;
#ifdef FLUSHES
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
    for (plane = 0; plane < planes; plane++)
        for (place = 0; place < voxels; place++) convert_voxel(&all, (uint32_t)plane, (uint32_t)place);
    return CUDA_SUCCESS;
}

/* The first element after those that strides reach. */
static uint64_t reach(const uint64_t *strides, const uint32_t *extents) {
    uint64_t end = extents[3];
    int axis;
    for (axis = 0; axis < 3; axis++) end += (extents[axis] - 1) * strides[axis];
    return end;
}

static CUresult accumulate(const void *arguments, const unsigned *grid, const unsigned *block) {
    accumulate_arguments all;
    uint64_t rows, row, x;
    memcpy(&all, arguments, sizeof all);
    rows = (uint64_t)all.extents[0] * all.extents[1] * all.extents[2];
    if (!is_launch(grid, block) || rows == 0 || rows >> 31) return CUDA_ERROR_LAUNCH_FAILED;
    if (!standin_is_memory(all.sums, reach(all.sum_strides, all.extents) * 4)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (!standin_is_memory(all.source, reach(all.source_strides, all.extents) * bytes_of(all.from)))
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (all.mode == ADD_WEIGHTED &&
        (!standin_is_memory(all.plane_weights, all.extents[1] * 4) ||
         !standin_is_memory(all.row_weights, all.extents[2] * 4) ||
         !standin_is_memory(all.column_weights, all.extents[3] * 4)))
        return CUDA_ERROR_ILLEGAL_ADDRESS;
#ifdef FLUSHES
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
    for (row = 0; row < rows; row++)
        for (x = 0; x < all.extents[3]; x++) accumulate_voxel(&all, (uint32_t)row, (uint32_t)x);
    return CUDA_SUCCESS;
}

const kernel library_kernels[] = {
    {"voxfeed_convert", sizeof(convert_arguments), convert},
    {"voxfeed_accumulate", sizeof(accumulate_arguments), accumulate},
    {NULL, 0, NULL},
};
