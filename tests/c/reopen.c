/* The library is opened and closed by threads, some of which have used it; it stays where it is. */
#include <dlfcn.h>
#include <pthread.h>

#include "check.h"

typedef const char *(*texts)(void);
typedef vxf_status (*counter)(int32_t *out);

static void *open_and_close(void *unused) {
    int k;
    (void)unused;
    for (k = 0; k < 50; k++) {
        void *library = dlopen("libvoxfeed.so.0", RTLD_NOW | RTLD_LOCAL);
        void *symbol;
        texts message;
        counter count;
        int32_t devices = -1;
        CHECK(library != NULL);
        symbol = dlsym(library, "vxf_last_error_message");
        memcpy(&message, &symbol, sizeof message);
        symbol = dlsym(library, "vxf_cuda_device_count");
        memcpy(&count, &symbol, sizeof count);
        CHECK(message != NULL && count != NULL);
        CHECK(count(NULL) == VXF_STATUS_ERR_ARGUMENT && message()[0] != '\0');
        CHECK(count(&devices) == VXF_STATUS_OK && devices >= 0);
        CHECK(dlclose(library) == 0);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[8];
    int round, k;
    for (round = 0; round < 10; round++) {
        for (k = 0; k < 8; k++) CHECK(pthread_create(&threads[k], NULL, open_and_close, NULL) == 0);
        for (k = 0; k < 8; k++) CHECK(pthread_join(threads[k], NULL) == 0);
    }
    return 0;
}
