/* The one MEX of voxfeed: voxfeed_mex(command, arguments...), for the classes of the package only. */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include <string.h>

#include "face.h"

#define MOST_ARGUMENTS 8
#define MOST_RESULTS 3

static const command *const LISTS[] = {
    library_commands, dataset_commands, sampler_commands, loader_commands,
    batch_commands,   assembler_commands, writer_commands, job_commands,
};

static const command *command_named(const char *name)
{
    size_t list;
    const command *one;
    for (list = 0; list < sizeof LISTS / sizeof LISTS[0]; list++) {
        for (one = LISTS[list]; one->name != NULL; one++) {
            if (strcmp(one->name, name) == 0)
                return one;
        }
    }
    return NULL;
}

static void begin(void)
{
    static bool has_begun;
    if (has_begun)
        return;
    if (vxf_abi_version() != VXF_ABI_VERSION)
        fail("build", "the MEX was built for C interface %d, the library that was found speaks %u: build it anew",
             VXF_ABI_VERSION, (unsigned)vxf_abi_version());
    /* Threads and objects of the library outlive no unloading. */
    mexLock();
    mexAtExit(handle_free_all);
    has_begun = true;
}

void mexFunction(int nlhs, mxArray *plhs[], int nrhs, const mxArray *prhs[])
{
    const mxArray *in[MOST_ARGUMENTS] = {0};
    mxArray *out[MOST_RESULTS] = {0};
    const command *asked;
    char *name;
    int at;
    begin();
    if (nrhs < 1)
        fail("argument", "the first argument is the name of a command");
    name = text_of(prhs[0], "command");
    asked = command_named(name);
    if (asked == NULL)
        fail("argument", "there is no command '%s'", name);
    mxFree(name);
    if (nrhs - 1 != asked->arguments || nlhs > (asked->results > 1 ? asked->results : 1))
        fail("argument", "'%s' takes %d arguments and gives %d results", asked->name, asked->arguments,
             asked->results);
    for (at = 0; at < asked->arguments; at++)
        in[at] = prhs[1 + at];
    asked->run(out, in);
    for (at = 0; at < asked->results; at++) {
        if (at == 0 || at < nlhs)
            plhs[at] = out[at];
        else
            mxDestroyArray(out[at]);
    }
}
