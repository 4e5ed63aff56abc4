/* Batches as DLPack tensors: what they say, and that they keep their memory until their deleters are called. */
#include <pthread.h>

#include "check.h"
#include "dlpack.h"

static uint64_t held(const vxf_loader *loader) {
    vxf_loader_stats stats;
    stats.struct_size = sizeof stats;
    OK(vxf_loader_get_stats(loader, &stats));
    return stats.held;
}

static vxf_loader *begun(int subjects) {
    vxf_dataset *dataset = small_dataset(subjects);
    vxf_sampler *sampler = grid_sampler(dataset, 4, VXF_BORDER_SHIFT);
    vxf_loader *loader = small_loader(sampler, 3, 2);
    OK(vxf_loader_start(loader, 0));
    vxf_sampler_free(sampler);
    vxf_dataset_free(dataset);
    return loader;
}

static vxf_batch *next(vxf_loader *loader) {
    vxf_batch *batch = NULL;
    OK(vxf_loader_next(loader, -1, &batch));
    return batch;
}

/* The same array as the batch's own view of it. */
static void compare(const vxf_batch *batch, const char *category, const DLTensor *found) {
    vxf_tensor tensor;
    int32_t axis;
    int64_t stride = 1;
    tensor.struct_size = sizeof tensor;
    OK(vxf_batch_tensor(batch, category, &tensor));
    CHECK(found->data == tensor.data && found->byte_offset == 0);
    CHECK(found->device.device_type == kDLCPU && found->device.device_id == 0);
    CHECK((found->dtype.code << 8 | found->dtype.bits) == tensor.dtype && found->dtype.lanes == 1);
    CHECK(found->ndim == tensor.ndim && found->shape != NULL && found->strides != NULL);
    for (axis = found->ndim - 1; axis >= 0; axis--) {
        CHECK(found->shape[axis] == tensor.shape[axis] && found->strides[axis] == stride);
        stride *= found->shape[axis];
    }
}

static void exports_say_what_the_batch_says(void) {
    static const uint32_t flags[] = {0, VXF_DLPACK_PINNED_AS_CPU, VXF_DLPACK_PINNED_AS_PINNED, VXF_DLPACK_NO_WAIT};
    static const char *const categories[] = {"images", "labels", NULL};
    vxf_loader *loader = begun(2);
    vxf_batch *batch = next(loader);
    size_t flag, category;
    for (flag = 0; flag < sizeof flags / sizeof *flags; flag++) {
        for (category = 0; category < 3; category++) {
            DLManagedTensorVersioned *versioned = NULL;
            DLManagedTensor *legacy = NULL;
            OK(vxf_batch_dlpack(batch, categories[category], flags[flag], NULL, &versioned));
            CHECK(versioned->version.major == 1 && versioned->version.minor == 0 && versioned->flags == 0);
            compare(batch, categories[category], &versioned->dl_tensor);
            versioned->deleter(versioned);
            OK(vxf_batch_dlpack_legacy(batch, categories[category], flags[flag], (vxf_stream)2, &legacy));
            compare(batch, categories[category], &legacy->dl_tensor);
            legacy->deleter(legacy);
        }
    }
    vxf_batch_release(batch);
    CHECK(held(loader) == 0);
    vxf_loader_free(loader);
}

static void refusals_change_nothing(void) {
    vxf_loader *loader = begun(2);
    vxf_batch *batch = next(loader);
    DLManagedTensorVersioned *out = (DLManagedTensorVersioned *)(void *)&loader;
    DLManagedTensor *legacy = NULL;
    REFUSED(vxf_batch_dlpack(batch, "dose", 0, NULL, &out), VXF_STATUS_ERR_NOT_FOUND, "images, labels");
    REFUSED(vxf_batch_dlpack(batch, NULL, 8, NULL, &out), VXF_STATUS_ERR_UNSUPPORTED, "flags are 8");
    REFUSED(vxf_batch_dlpack(batch, NULL, 3, NULL, &out), VXF_STATUS_ERR_ARGUMENT, "flags");
    REFUSED(vxf_batch_dlpack_legacy(batch, "dose", 0, NULL, &legacy), VXF_STATUS_ERR_NOT_FOUND, "dose");
    CHECK((void *)out == (void *)&loader && legacy == NULL);
    vxf_batch_release(batch);
    CHECK(held(loader) == 0);
    vxf_loader_free(loader);
}

static void *delete_elsewhere(void *export) {
    DLManagedTensorVersioned *tensor = export;
    tensor->deleter(tensor);
    return NULL;
}

static void exports_outlive_batch_and_loader(void) {
    vxf_loader *loader = begun(2);
    vxf_batch *batch = next(loader);
    DLManagedTensorVersioned *images = NULL;
    DLManagedTensor *labels = NULL;
    uint64_t bytes, hash;
    pthread_t thread;
    vxf_tensor tensor;
    OK(vxf_batch_dlpack(batch, "images", 0, NULL, &images));
    OK(vxf_batch_dlpack_legacy(batch, "labels", 0, NULL, &labels));
    tensor.struct_size = sizeof tensor;
    OK(vxf_batch_tensor(batch, "images", &tensor));
    bytes = tensor_bytes(&tensor);
    hash = fnv(0, tensor.data, bytes);
    vxf_batch_release(batch);
    CHECK(held(loader) == 1);
    labels->deleter(labels);
    CHECK(held(loader) == 1);
    while (vxf_loader_next(loader, -1, &batch) == VXF_STATUS_OK) vxf_batch_release(batch);
    vxf_loader_free(loader);
    CHECK(fnv(0, images->dl_tensor.data, bytes) == hash);
    CHECK(pthread_create(&thread, NULL, delete_elsewhere, images) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void a_deleted_export_makes_room_for_the_next_batch(void) {
    vxf_loader *loader = begun(8);
    DLManagedTensorVersioned *kept[3];
    vxf_batch *batch = NULL;
    int k;
    for (k = 0; k < 3; k++) {
        batch = next(loader);
        OK(vxf_batch_dlpack(batch, NULL, 0, NULL, &kept[k]));
        vxf_batch_release(batch);
    }
    CHECK(vxf_loader_next(loader, 0, &batch) == VXF_STATUS_TIMEOUT);
    kept[1]->deleter(kept[1]);
    vxf_batch_release(next(loader));
    kept[0]->deleter(kept[0]);
    kept[2]->deleter(kept[2]);
    CHECK(held(loader) == 0);
    vxf_loader_free(loader);
}

int main(void) {
    exports_say_what_the_batch_says();
    refusals_change_nothing();
    exports_outlive_batch_and_loader();
    a_deleted_export_makes_room_for_the_next_batch();
    return 0;
}
