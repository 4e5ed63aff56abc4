/* The kernels of the library as C. */
#include "kernels.h"

const kernel library_kernels[] = {{NULL, 0, NULL}};
