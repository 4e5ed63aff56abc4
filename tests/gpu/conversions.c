/* Voxels of any dtype, many of them special, become on the device what the host makes of them, bit for bit. */
#include "gpu.h"

#include <sys/stat.h>

enum { SUBJECTS = 3, EDGE = 16, COUNT = EDGE * EDGE * EDGE, PATCH = 9, BATCHES = 3 };

static const struct {
    const char *name;
    vxf_dtype dtype;
} DTYPES[] = {{"u8", VXF_DTYPE_U8},   {"i8", VXF_DTYPE_I8},   {"u16", VXF_DTYPE_U16}, {"i16", VXF_DTYPE_I16},
              {"i32", VXF_DTYPE_I32}, {"f16", VXF_DTYPE_F16}, {"f32", VXF_DTYPE_F32}};
enum { DTYPE_COUNT = sizeof DTYPES / sizeof *DTYPES, INTEGERS = 5, HALF = 5 };

static uint64_t state = 1, conversions, compared, tiny;
static int used_device;

static uint64_t any(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 24;
}

/* The bits of zeros, infinities, NaN, halves, and of what lies at the ends of singles and of half precision. */
static uint32_t special_single(void) {
    static const uint32_t bits[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00800000,
                                    0x00000001, 0x80000001, 0x007fffff, 0x7f7fffff, 0x477fef00, 0x477ff000,
                                    0x3356bf95, 0x3f000000, 0x3fc00000, 0x40200000, 0xbf000000};
    return bits[any() % (sizeof bits / sizeof *bits)];
}

static uint32_t single(void) {
    float small = (float)(any() % 1400) / 2 - 350;
    uint32_t bits = (uint32_t)any();
    switch (any() % 4) {
    case 0: memcpy(&bits, &small, 4); return bits;
    case 1: return special_single();
    case 2: return bits & 0x807fffff;
    default: return bits;
    }
}

static void fill(void *voxels, int dtype) {
    uint64_t bytes = dtype_bytes(DTYPES[dtype].dtype), k;
    for (k = 0; k < COUNT; k++) {
        uint32_t bits = dtype < INTEGERS && any() % 2 ? (uint32_t)(any() % 200) - 100 : (uint32_t)any();
        if (dtype > HALF) bits = single();
        memcpy((char *)voxels + k * bytes, &bits, bytes);
    }
}

/* A volume as a file whose header scales what is stored. */
static void save_scaled(const char *path, const vxf_tensor *tensor, const float scale[2]) {
    FILE *file;
    OK(vxf_volume_save(path, tensor, NULL));
    file = fopen(path, "r+b");
    CHECK(file && fseek(file, 112, SEEK_SET) == 0 && fwrite(scale, 4, 2, file) == 2 && fclose(file) == 0);
}

/* Two images and a label map of one dtype; with a folder, the images are files that are scaled. */
static vxf_sampler *voxels_of(int dtype, const char *folder, const float scale[2]) {
    static const int64_t shape[3] = {EDGE, EDGE, EDGE};
    static uint32_t voxels[COUNT];
    static const char *const entries[3] = {"A", "B", "L"};
    vxf_tensor tensor = host_tensor(DTYPES[dtype].dtype, voxels, 3, shape);
    vxf_dataset *dataset;
    vxf_sampler *sampler;
    uint64_t subject;
    int number, entry;
    OK(vxf_dataset_new(NULL, &dataset));
    for (number = 0; number < SUBJECTS; number++) {
        char path[4096];
        snprintf(path, sizeof path, "s%d", number);
        OK(vxf_dataset_add_subject(dataset, path, &subject));
        for (entry = 0; entry < (folder ? 2 : 3); entry++) {
            const char *category = entry < 2 ? "images" : "labels";
            fill(voxels, dtype);
            if (folder) {
                snprintf(path, sizeof path, "%s/scaled-%s-%d-%d.nii", folder, DTYPES[dtype].name, number, entry);
                save_scaled(path, &tensor, scale);
                OK(vxf_dataset_add_file(dataset, subject, category, entries[entry], path, NULL));
            } else {
                OK(vxf_dataset_add_tensor(dataset, subject, category, entries[entry], &tensor, NULL));
            }
        }
    }
    sampler = patches(dataset, PATCH, 16);
    vxf_dataset_free(dataset);
    return sampler;
}

/* An element's bits; all NaN are one. */
static uint64_t bits_at(const void *data, vxf_dtype dtype, uint64_t place) {
    uint64_t bytes = dtype_bytes(dtype), bits = 0;
    memcpy(&bits, (const char *)data + place * bytes, bytes);
    if (dtype == VXF_DTYPE_F32 && (bits & 0x7fffffff) > 0x7f800000) return UINT64_MAX;
    if (dtype == VXF_DTYPE_F16 && (bits & 0x7fff) > 0x7c00) return UINT64_MAX;
    return bits;
}

static void *next_copy(vxf_loader *loader, const char *category, vxf_tensor *to) {
    vxf_batch *batch;
    OK(vxf_loader_next(loader, 60000000000, &batch));
    to->struct_size = sizeof *to;
    OK(vxf_batch_tensor(batch, category, to));
    CHECK(to->device == VXF_DEVICE_CUDA);
    *to = host_tensor(to->dtype, malloc(tensor_bytes(to)), to->ndim, to->shape);
    OK(vxf_batch_copy_to(batch, category, to));
    vxf_batch_release(batch);
    return to->data;
}

/* The same batches, converted by the host before they cross and by the device afterwards. */
static void same(const vxf_sampler *sampler, const char *from, const vxf_category *category, const char *steps) {
    static const vxf_cast casts[2] = {VXF_CAST_HOST, VXF_CAST_DEVICE};
    char chain[2048];
    vxf_transform *transform;
    vxf_loader *loaders[2];
    uint64_t k;
    int side, number;
    snprintf(chain, sizeof chain, "[%s]", steps);
    OK(vxf_transform_parse(chain, &transform));
    for (side = 0; side < 2; side++) {
        vxf_loader_options options = device_options(used_device);
        options.threads = 1;
        options.categories = category, options.category_count = 1;
        options.transform = transform;
        options.cast = casts[side];
        if (vxf_loader_new(sampler, &options, &loaders[side]) != VXF_STATUS_OK) {
            fprintf(stderr, "%s %s %s: %s\n", from, category->name, chain, vxf_last_error_message());
            exit(1);
        }
        OK(vxf_loader_start(loaders[side], 0));
    }
    for (number = 0; number < BATCHES; number++) {
        vxf_tensor host, gpu;
        void *one = next_copy(loaders[0], category->name, &host), *two = next_copy(loaders[1], category->name, &gpu);
        uint64_t count = tensor_bytes(&host) / dtype_bytes(host.dtype);
        CHECK(host.dtype == gpu.dtype && tensor_bytes(&host) == tensor_bytes(&gpu));
        for (k = 0; k < count; k++) {
            uint64_t expected = bits_at(one, host.dtype, k), found = bits_at(two, host.dtype, k);
            if (expected != found) {
                fprintf(stderr, "%s %s %s: element %llu of batch %d is %#llx on the device and %#llx on the host\n", from,
                        category->name, chain, (unsigned long long)k, number, (unsigned long long)found,
                        (unsigned long long)expected);
                exit(1);
            }
            if (host.dtype == VXF_DTYPE_F32) tiny += (expected & 0x7fffff) && !(expected & 0x7f800000);
        }
        compared += count;
        free(one), free(two);
    }
    for (side = 0; side < 2; side++) {
        OK(vxf_loader_close(loaders[side], -1));
        vxf_loader_free(loaders[side]);
    }
    vxf_transform_free(transform);
    conversions++;
}

#define STEP(name, parameters) ",{\"name\":\"" name "\",\"category\":\"images\"," parameters "}"
#define SATURATED(dtype) STEP("cast", "\"fit\":\"saturate\",\"dtype\":\"" dtype "\"")
#define SCALE STEP("scale", "\"slope\":0.37,\"offset\":-5.1")
#define WINDOW STEP("window", "\"low\":-100.3,\"high\":77.7,\"to\":[-1,1]")
#define ZSCORE STEP("zscore", "\"mean\":3.3,\"std\":17.9")

/* Integers have statistics of their own in every subject; those of infinities are none. */
static const char *const CHAINS[] = {STEP("zscore", "\"statistics\":\"subject\",\"voxels\":\"nonzero\""),
                                     "",
                                     SCALE,
                                     STEP("scale", "\"slope\":0.37"),
                                     STEP("scale", "\"slope\":3e-39"),
                                     WINDOW,
                                     ZSCORE,
                                     STEP("zscore", "\"mean\":[0,7.7],\"std\":[3,0.3]"),
                                     SCALE ZSCORE WINDOW STEP("scale", "\"slope\":-3000,\"offset\":0.5")};
static const char *const ENDS[] = {
    "", SATURATED("i16"), SATURATED("u8") STEP("lookup", "\"map\":{\"0\":9,\"1\":2,\"255\":3},\"default\":\"keep\"")};

static void casts_and_steps(void) {
    vxf_category images = {.name = "images"};
    size_t chain, end;
    int dtype, half;
    for (dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        vxf_sampler *sampler = voxels_of(dtype, NULL, NULL);
        for (chain = dtype < INTEGERS ? 0 : 1; chain < sizeof CHAINS / sizeof *CHAINS; chain++)
            for (end = 0; end < sizeof ENDS / sizeof *ENDS; end++)
                for (half = 0; half < 2; half++) {
                    char steps[1024];
                    snprintf(steps, sizeof steps, "%s%s%s", half ? SATURATED("f16") : SATURATED("f32"), CHAINS[chain],
                             ENDS[end]);
                    same(sampler, DTYPES[dtype].name, &images, steps + 1);
                }
        vxf_sampler_free(sampler);
    }
}

static void refused(const vxf_sampler *sampler, const vxf_category *category) {
    vxf_loader_options options = device_options(used_device);
    vxf_loader *loader;
    options.categories = category, options.category_count = 1;
    options.cast = VXF_CAST_DEVICE;
    REFUSED(vxf_loader_new(sampler, &options, &loader), VXF_STATUS_ERR_UNSUPPORTED, "images");
}

/* What is scaled is a single, or more where singles do not hold what is stored; the host makes it what it is to be
 * with one rounding, so a device gets it for singles only. */
static void stored_scales(const char *folder) {
    static const float scales[3][2] = {{0.1f, -7.25f}, {-2e-9f, 0}, {1e36f, 0.5f}};
    static const char *const float_ends[2] = {"", SATURATED("f16")};
    vxf_category images = {.name = "images", .fit = VXF_FIT_SATURATE};
    size_t chain;
    int dtype, scale, end;
    for (dtype = 0; dtype < DTYPE_COUNT; dtype++)
        for (scale = 0; scale < 3 && dtype != HALF; scale++) {
            vxf_sampler *sampler = voxels_of(dtype, folder, scales[scale]);
            images.dtype = VXF_DTYPE_F16;
            refused(sampler, &images);
            images.dtype = VXF_DTYPE_I16;
            refused(sampler, &images);
            images.dtype = VXF_DTYPE_F32;
            if (DTYPES[dtype].dtype == VXF_DTYPE_I32) refused(sampler, &images);
            for (chain = 2; chain < 6 && DTYPES[dtype].dtype != VXF_DTYPE_I32; chain++)
                for (end = 0; end < 2; end++) {
                    char steps[512];
                    snprintf(steps, sizeof steps, "%s%s", CHAINS[chain], float_ends[end]);
                    same(sampler, DTYPES[dtype].name, &images, steps + 1);
                }
            vxf_sampler_free(sampler);
        }
}

static void lookups(void) {
    vxf_category labels = {.name = "labels"};
    int dtype, wide, other;
    for (dtype = 0; dtype < INTEGERS; dtype++) {
        vxf_sampler *sampler = voxels_of(dtype, NULL, NULL);
        for (wide = 0; wide < 2; wide++)
            for (other = 0; other < 2; other++) {
                char steps[512];
                snprintf(steps, sizeof steps, "%s{\"name\":\"lookup\",\"category\":\"labels\","
                         "\"map\":{\"1\":5,\"2\":0,\"77\":100,\"99\":3},\"default\":%s}",
                         wide ? "{\"name\":\"cast\",\"category\":\"labels\",\"dtype\":\"i64\"}," : "",
                         other ? "9" : "\"keep\"");
                same(sampler, DTYPES[dtype].name, &labels, steps);
            }
        vxf_sampler_free(sampler);
    }
}

void compare_conversions(int device, const char *folder) {
    used_device = device;
    mkdir(folder, 0777);
    casts_and_steps();
    stored_scales(folder);
    lookups();
    CHECK(tiny > 0);
    printf("%llu conversions of u8 i8 u16 i16 i32 f16 f32 (cast, stored scale, scale, window, zscore, lookup), %llu "
           "voxels of which %llu are subnormal: the device's bits are the host's\n",
           (unsigned long long)conversions, (unsigned long long)compared, (unsigned long long)tiny);
}
