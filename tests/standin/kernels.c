/* Kernels by name: a module is the text that was loaded, and what its entries do is known here as C. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "kernels.h"

enum { MODULES = 64 };

struct CUmod_st {
    CUcontext context;
    char *text;
};

struct launch {
    const kernel *kernel;
    unsigned grid[3], block[3];
    unsigned char arguments[KERNEL_ARGUMENTS];
};

static struct CUmod_st modules[MODULES];

/* Fills numbers of four bytes; for the stand-in's own tests. */
typedef struct {
    uint64_t to, count;
    uint32_t value, reserved;
} fill_arguments;

static CUresult fill(const void *arguments, const unsigned *grid, const unsigned *block) {
    fill_arguments own;
    uint64_t k, threads = (uint64_t)grid[0] * block[0];
    memcpy(&own, arguments, sizeof own);
    if (!standin_is_memory(own.to, own.count * 4)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    for (k = 0; k < threads && k < own.count; k++) ((uint32_t *)own.to)[k] = own.value;
    return CUDA_SUCCESS;
}

static const kernel own_kernels[] = {{"standin_fill", sizeof(fill_arguments), fill}, {NULL, 0, NULL}};

static const kernel *kernel_in(const kernel *all, const char *name) {
    for (; all->name; all++)
        if (!strcmp(all->name, name)) return all;
    return NULL;
}

static const kernel *kernel_named(const char *name) {
    const kernel *own = kernel_in(own_kernels, name);
    if (!own) own = kernel_in(library_kernels, name);
    return own ? own : kernel_in(gpu_kernels, name);
}

int standin_is_memory(uint64_t address, uint64_t bytes) {
    block *found;
    pthread_mutex_lock(&standin_lock);
    found = block_of(address, bytes);
    pthread_mutex_unlock(&standin_lock);
    return bytes == 0 || (found && (found->place != ON_DEVICE || found->context == running));
}

static CUresult load(CUmodule *module, const void *image, CUresult result) {
    int k;
    if (result == CUDA_SUCCESS && !strstr(image, ".version")) result = CUDA_ERROR_INVALID_IMAGE;
    if (result == CUDA_SUCCESS) {
        for (k = 0; k < MODULES && modules[k].text; k++) continue;
        if (k == MODULES || !(modules[k].text = strdup(image))) return CUDA_ERROR_OUT_OF_MEMORY;
        modules[k].context = current();
        *module = &modules[k];
    }
    return result;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    return leave(load(module, image, enter(AT_cuModuleLoadData, (standin_entry){0})));
}

/* Of the options, the buffer for complaints (5) and its length (6) are known; what it complains of are texts. */
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values) {
    CUresult result = load(module, image, enter(AT_cuModuleLoadDataEx, (standin_entry){0}));
    char *log = NULL;
    size_t length = 0;
    unsigned k;
    for (k = 0; k < count; k++) {
        if (options[k] == 5) log = values[k];
        else if (options[k] == 6) length = (size_t)values[k];
        else result = CUDA_ERROR_INVALID_VALUE;
    }
    if (log && result == CUDA_ERROR_INVALID_PTX)
        snprintf(log, length, "ptxas application ptx input, line 7; fatal   :\n  a stand-in's complaint\n");
    return leave(result);
}

/* Whether the text has an entry of just this name. */
static int has_entry(const char *text, const char *name) {
    size_t length = strlen(name);
    while ((text = strstr(text, ".entry "))) {
        text += strlen(".entry ");
        if (!strncmp(text, name, length) && (text[length] == '(' || text[length] == '\n')) return 1;
    }
    return 0;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    CUresult result = enter(AT_cuModuleGetFunction, (standin_entry){0});
    int known = module >= modules && module < modules + MODULES && module->text;
    if (result == CUDA_SUCCESS && (!known || module->context != current())) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && (!has_entry(module->text, name) || !kernel_named(name)))
        result = CUDA_ERROR_NOT_FOUND;
    if (result == CUDA_SUCCESS) *function = (CUfunction)kernel_named(name);
    return leave(result);
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void **arguments,
                        void **extra) {
    CUresult result = enter(AT_cuLaunchKernel, (standin_entry){.stream = stream});
    const kernel *kernel = (const struct kernel *)function;
    uint64_t threads = (uint64_t)block_x * block_y * block_z;
    launch *own;
    if (result == CUDA_SUCCESS && !(stream = resolve(stream, current()))) result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && stream->context != current()) result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS && (!kernel || !arguments || extra || shared_bytes > 49152))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && (threads == 0 || threads > 1024 || !grid_x || !grid_y || !grid_z))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && (grid_x > 0x7fffffffu || grid_y > 65535 || grid_z > 65535))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && !(own = malloc(sizeof *own))) result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) {
        *own = (launch){kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, {0}};
        memcpy(own->arguments, arguments[0], kernel->argument_bytes);
        result = enqueue(stream, (operation){.function = AT_cuLaunchKernel, .action = DO_LAUNCH, .argument = own});
    }
    return leave(result);
}

CUresult run_launch(void *argument) {
    launch *own = argument;
    CUresult result = own->kernel->run(own->arguments, own->grid, own->block);
    free(own);
    return result;
}
