/* The log: who is told, when and on which thread; what a callback may not do; and who holds all batches. */
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static const int64_t SHAPE[3] = {DEPTH, HEIGHT, WIDTH};

/* Reads a volume whose index cannot be kept: the folder for it is gone. One warning. */
static void say_something(void) {
    static int16_t voxels[VOXELS];
    vxf_tensor all = host_tensor(VXF_DTYPE_I16, voxels, 3, SHAPE);
    vxf_dataset_options options;
    vxf_dataset *dataset = NULL;
    OK(vxf_dataset_options_init(&options, sizeof options));
    options.seek_index = VXF_SEEK_INDEX_ALWAYS;
    options.index_folder = "indexes";
    CHECK(mkdir("indexes", 0755) == 0);
    OK(vxf_dataset_open("scan.nii.gz", &options, &dataset));
    CHECK(rmdir("indexes") == 0);
    OK(vxf_dataset_read(dataset, 0, "images", NULL, NULL, &all));
    vxf_dataset_free(dataset);
}

static void *say_on_a_thread(void *unused) {
    say_something();
    return unused;
}

static pthread_t where;
static int inside;

static void look(vxf_log_level level, const char *line, void *user_data) {
    where = pthread_self();
    REFUSED(vxf_set_log(0, 0, NULL, NULL), VXF_STATUS_ERR_STATE, "callback");
    REFUSED(vxf_process_events(), VXF_STATUS_ERR_STATE, "callback");
    inside++;
    keep_line(level, line, user_data);
}

static void direct(void) {
    last_line told = {0, 0, ""};
    pthread_t thread;
    say_something();
    OK(vxf_set_log(VXF_LOG_LEVEL_INFO, VXF_LOG_MODE_DIRECT, look, &told));
    say_something();
    CHECK(told.count == 1 && told.level == VXF_LOG_LEVEL_WARNING && pthread_equal(where, pthread_self()));
    CHECK(strstr(told.line, "scan.nii.gz") && strstr(told.line, "index") && strstr(told.line, "does not exist"));
    CHECK(strchr(told.line, '\n') == NULL);
    CHECK(pthread_create(&thread, NULL, say_on_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(told.count == 2 && !pthread_equal(where, pthread_self()));
    OK(vxf_process_events());
    OK(vxf_set_log(VXF_LOG_LEVEL_ERROR, VXF_LOG_MODE_DIRECT, look, &told));
    say_something();
    CHECK(told.count == 2 && inside == 2);
    OK(vxf_set_log(0, 0, NULL, NULL));
    say_something();
    CHECK(told.count == 2);
}

static void queued(void) {
    last_line told = {0, 0, ""}, other = {0, 0, ""};
    pthread_t thread;
    int k;
    OK(vxf_set_log(VXF_LOG_LEVEL_WARNING, VXF_LOG_MODE_QUEUED, look, &told));
    CHECK(pthread_create(&thread, NULL, say_on_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    say_something();
    CHECK(told.count == 0);
    OK(vxf_process_events());
    CHECK(told.count == 2 && pthread_equal(where, pthread_self()));
    OK(vxf_process_events());
    CHECK(told.count == 2);
    /* More than wait: the oldest go, and their number is the first line. */
    for (k = 0; k < 256 + 1; k++) say_something();
    OK(vxf_set_log(VXF_LOG_LEVEL_WARNING, VXF_LOG_MODE_QUEUED, look, &other));
    OK(vxf_process_events());
    CHECK(told.count == 2 && other.count == 0);
    for (k = 0; k < 256 + 1; k++) say_something();
    OK(vxf_process_events());
    CHECK(other.count == 256 + 1 && strstr(other.line, "scan.nii.gz"));
    OK(vxf_set_log(0, 0, NULL, NULL));
}

/* A caller who holds all batches and comes again and again, as bindings do, is told why nothing comes. */
static void held(void) {
    last_line told = {0, 0, ""};
    vxf_dataset *dataset = small_dataset(2);
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    vxf_loader *loader = small_loader(sampler, 1, 1);
    vxf_batch *batch[3], *more = NULL;
    int k, slices = 0;
    OK(vxf_set_log(VXF_LOG_LEVEL_INFO, VXF_LOG_MODE_QUEUED, keep_line, &told));
    OK(vxf_loader_start(loader, 0));
    for (k = 0; k < 3; k++) OK(vxf_loader_next(loader, -1, &batch[k]));
    while (told.count == 0) {
        CHECK_STATUS(vxf_loader_next(loader, 200000000, &more), VXF_STATUS_TIMEOUT);
        OK(vxf_process_events());
        CHECK(++slices < 300);
    }
    CHECK(slices > 1 && told.level == VXF_LOG_LEVEL_WARNING);
    CHECK(strcmp(told.line, "all 3 slots are held: release batches or raise prefetch") == 0);
    vxf_batch_release(batch[0]);
    OK(vxf_loader_next(loader, -1, &batch[0]));
    for (k = 0; k < 3; k++) vxf_batch_release(batch[k]);
    OK(vxf_process_events());
    CHECK(told.count == 1);
    vxf_loader_free(loader);
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    OK(vxf_set_log(0, 0, NULL, NULL));
}

int main(int count, char **arguments) {
    static int16_t voxels[VOXELS];
    vxf_tensor tensor = host_tensor(VXF_DTYPE_I16, voxels, 3, SHAPE);
    OK(vxf_volume_save("scan.nii.gz", &tensor, NULL));
    if (count > 1 && strcmp(arguments[1], "print") == 0) {
        say_something();
        return 0;
    }
    direct();
    queued();
    held();
    return 0;
}
