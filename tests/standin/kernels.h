/* What a kernel is to the stand-in: every kernel takes one struct. */
#ifndef STANDIN_KERNELS_H
#define STANDIN_KERNELS_H

#include "standin.h"

enum { KERNEL_ARGUMENTS = 4096 };

typedef struct kernel {
    const char *name;
    size_t argument_bytes;
    CUresult (*run)(const void *arguments, const unsigned *grid, const unsigned *block);
} kernel;

/* The library's own kernels, ended by one without a name. */
extern const kernel library_kernels[];

/* Those of the programs in tests/gpu, ended likewise. */
extern const kernel gpu_kernels[];

/* Whether all of these bytes lie in one block of memory that the running kernel's device reaches. */
int standin_is_memory(uint64_t address, uint64_t bytes);

#endif
