#include <stdio.h>
#include <string.h>
#include <voxfeed.h>

int main(void) {
    char compiled_with[32];
    snprintf(compiled_with, sizeof compiled_with, "%d.%d.%d", VXF_VERSION_MAJOR, VXF_VERSION_MINOR, VXF_VERSION_PATCH);
    printf("abi %u version %s\n", (unsigned)vxf_abi_version(), vxf_version_string());
    return strcmp(compiled_with, vxf_version_string()) == 0 ? 0 : 1;
}
