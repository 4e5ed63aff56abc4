/* What the programs of `./x gpu` share: the driver, opened at run time, work for it, and volumes to load. */
#ifndef GPU_H
#define GPU_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../c/check.h"
#include "../standin/driver.h"

#define DRIVER_MEMBER(name, needs) __typeof__(name) *name;
/* The driver's functions, under their names. */
typedef struct {
    DRIVER_FUNCTIONS(DRIVER_MEMBER)
} driver_table;
extern driver_table cu;

/* The driver's name of a result, whatever it knows. */
const char *error_name(CUresult result);

#define CU(call)                                                                                         \
    do {                                                                                                 \
        CUresult result_ = cu.call;                                                                      \
        if (result_ != CUDA_SUCCESS) {                                                                   \
            fprintf(stderr, "%s:%d: %s: %s (%d)\n", __FILE__, __LINE__, #call, error_name(result_), result_); \
            exit(1);                                                                                     \
        }                                                                                                \
    } while (0)

/* Opens the driver and makes the device's primary context current; ends the program where there is none. */
void open_driver(int device);

/* The device's name and the driver's version as a program would write them: "NVIDIA H200, driver for CUDA 12.8". */
void describe_device(int device, char *text, size_t bytes);

CUstream new_stream(void);

/* Keeps a stream busy for so long. */
void busy(CUstream stream, uint64_t ns);

/* Volumes whose voxels are numbers of their places: images "A" and "B" (i16) and labels "L" (u8) of so many subjects. */
typedef struct {
    uint64_t subjects;
    int64_t edge;
} volumes;

/* Writes them into a folder, or takes those that lie there already, and opens it. */
vxf_dataset *make_volumes(const char *folder, volumes what);

/* Lets a stream count the wrong elements of a batch on the device, after so long, into a place on the device. */
void compare(CUstream stream, const vxf_batch *batch, volumes what, uint64_t ns, CUdeviceptr errors);

/* Sets up uniform patches of so many voxels along each axis, and a loader of batches of 8 on the device. */
vxf_sampler *patches(const vxf_dataset *dataset, int64_t edge, uint64_t samples_per_subject);
vxf_loader_options device_options(int device);

/* Compares what host and device make of voxels, and of predictions that their stream makes so late; both end the
 * program where they differ, and else say what they compared. Files are made in the folder. */
void compare_conversions(int device, const char *folder);
void compare_predictions(int device, uint64_t late_ns);

/* The time of a clock that only goes forward. */
uint64_t now_ns(void);

/* The value behind "--name" as a number, or the default. */
uint64_t option(int count, char **arguments, const char *name, uint64_t otherwise);
const char *text_option(int count, char **arguments, const char *name, const char *otherwise);

#endif
