/* The library's kernels. This text is C as well as CUDA: tests compile it as C, for machines without a GPU.
 *
 * Everything is rounded as on the host, operation by operation: compile with -fmad=false. Only the bits of a NaN
 * that has been reckoned with may be others. */
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define DEVICE static __device__ __forceinline__
#define KERNEL(name) extern "C" __global__ void name
#else
#include <math.h>
#define DEVICE static inline
#endif

/* DLPack's code and bits, as in the library's header. */
enum {
    BOOL = 0x608,
    I8 = 0x008,
    I16 = 0x010,
    I32 = 0x020,
    I64 = 0x040,
    U8 = 0x108,
    U16 = 0x110,
    U32 = 0x120,
    F16 = 0x210,
    F32 = 0x220
};

enum { SCALE = 1, WINDOW, STANDARDISE, STANDARDISE_EACH };
enum { NO_LOOKUP, BYTES, PAIRS };
enum { MOST_STEPS = 4 };

/* What is done to floats: x * a + b; (clamp(x, a, b) - a) * c + d; (x - a) / b; the last with each channel's own. */
typedef struct {
    uint32_t kind;
    float a, b, c, d;
} step;

/* Dense rows of channels of voxels, which are in this order: loaded as `from`, scaled, made `through`, put
 * through the steps where that is a float, made `into`, looked up where that is an integer, stored. */
typedef struct {
    uint64_t source, target;
    /* Old and new labels by turns, the old ones ascending, for PAIRS. */
    uint64_t pairs, pair_count;
    /* Mean and divisor by turns for STANDARDISE_EACH: a channel's, or each row's channel's. */
    uint64_t statistics;
    /* One mask a row, or 0: then `mask` is everybody's. Bit 0 mirrors the width, 1 the height, 2 the depth. */
    uint64_t masks;
    double slope, intercept;
    /* What PAIRS makes of other labels, where they are not kept. */
    int64_t label;
    uint32_t rows, channels, extents[3], mask;
    uint32_t from, through, into;
    uint32_t is_scaled, is_of_each_row, lookup, keeps_labels, step_count;
    step steps[MOST_STEPS];
    /* What BYTES makes of the 256 bytes. */
    uint8_t bytes[256];
} convert_arguments;

DEVICE uint32_t bits_of_single(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

DEVICE float single_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

DEVICE uint64_t bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

DEVICE double double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

DEVICE float single_of_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, size = (uint32_t)(half & 0x7fff) << 13;
    float small = single_of_bits(size + (113u << 23)) - single_of_bits(113u << 23);
    uint32_t quiet = size > 0x1fu << 23 ? 1u << 22 : 0;
    if (size >= 0x1fu << 23) return single_of_bits((size + (224u << 23)) | quiet | sign);
    return single_of_bits((size < 1u << 23 ? bits_of_single(small) : size + (112u << 23)) | sign);
}

/* The nearest half; `beyond` is what finite values become that are too large. */
DEVICE uint16_t half_of_single(float value, uint32_t beyond) {
    uint32_t bits = bits_of_single(value), sign = (bits >> 16) & 0x8000, size = bits & 0x7fffffff;
    uint32_t small = bits_of_single(single_of_bits(size) + 0.5f) - bits_of_single(0.5f);
    uint32_t normal = (size + ((size >> 13) & 1) - ((112u << 23) - 0xfff)) >> 13;
    uint32_t quiet = size > 0xffu << 23 ? 1u << 9 : 0;
    if (size >= 0xffu << 23) return (uint16_t)(0x7c00 | quiet | ((size >> 13) & 0x3ff) | sign);
    if (size >= 0x477ff000u) return (uint16_t)(beyond | sign);
    return (uint16_t)((size < 113u << 23 ? small : normal) | sign);
}

enum { LARGEST_HALF = 0x7bff, INFINITE_HALF = 0x7c00 };

/* A single that has the same nearest half: what is cut off leaves a mark in the last bit. */
DEVICE float single_for_half(double value) {
    const uint64_t cut = ((uint64_t)1 << 29) - 1;
    uint64_t bits;
    if (value != value) return (float)double_of_bits((bits_of_double(value) & ~cut) | ((uint64_t)1 << 51));
    if (value > 1e6 && value <= 1.7976931348623157e308) value = 1e6;
    if (value < -1e6 && value >= -1.7976931348623157e308) value = -1e6;
    bits = bits_of_double(value);
    return (float)double_of_bits((bits & ~cut) | ((uint64_t)((bits & cut) != 0) << 29));
}

DEVICE float single_of_double(double value) {
    const double largest = 3.4028234663852886e38, above = 3.4028235677973366e38;
    double size = fabs(value);
    if (size >= above && size <= 1.7976931348623157e308) return (float)(value < 0 ? -largest : largest);
    return (float)value;
}

DEVICE int64_t lowest(uint32_t dtype) {
    switch (dtype) {
    case I8: return INT8_MIN;
    case I16: return INT16_MIN;
    case I32: return INT32_MIN;
    case I64: return INT64_MIN;
    default: return 0;
    }
}

DEVICE int64_t highest(uint32_t dtype) {
    switch (dtype) {
    case I8: return INT8_MAX;
    case U8: return UINT8_MAX;
    case I16: return INT16_MAX;
    case U16: return UINT16_MAX;
    case I32: return INT32_MAX;
    case U32: return UINT32_MAX;
    default: return INT64_MAX;
    }
}

/* The nearest integer that fits, half to even; none is 0. */
DEVICE int64_t integer_of_double(double value, uint32_t dtype) {
    int64_t low = lowest(dtype), high = highest(dtype);
    if (value != value) return 0;
    value = rint(value);
    if (value <= (double)low) return low;
    if (value >= (double)high) return high;
    return (int64_t)value;
}

DEVICE int64_t integer_of_integer(int64_t value, uint32_t dtype) {
    int64_t low = lowest(dtype), high = highest(dtype);
    return value < low ? low : value > high ? high : value;
}

/* A voxel: `real` where the dtype that it has is a float, else `whole`. */
typedef struct {
    int64_t whole;
    float real;
} voxel;

DEVICE int is_float(uint32_t dtype) { return dtype == F16 || dtype == F32; }

DEVICE voxel load(uint64_t source, uint32_t dtype, uint64_t place) {
    voxel own;
    own.whole = 0;
    own.real = 0;
    switch (dtype) {
    case BOOL: own.whole = ((const uint8_t *)source)[place] != 0; break;
    case I8: own.whole = ((const int8_t *)source)[place]; break;
    case U8: own.whole = ((const uint8_t *)source)[place]; break;
    case I16: own.whole = ((const int16_t *)source)[place]; break;
    case U16: own.whole = ((const uint16_t *)source)[place]; break;
    case I32: own.whole = ((const int32_t *)source)[place]; break;
    case U32: own.whole = ((const uint32_t *)source)[place]; break;
    case I64: own.whole = ((const int64_t *)source)[place]; break;
    case F16: own.real = single_of_half(((const uint16_t *)source)[place]); break;
    default: own.real = single_of_bits(((const uint32_t *)source)[place]);
    }
    return own;
}

/* Makes a voxel of one dtype one of another; what is half precision is kept as the single that it is. */
DEVICE voxel cast(voxel own, uint32_t from, uint32_t into) {
    if (from == into) return own;
    if (into == F32) own.real = is_float(from) ? own.real : (float)own.whole;
    else if (into == F16 && is_float(from)) own.real = single_of_half(half_of_single(own.real, LARGEST_HALF));
    else if (into == F16) own.real = single_of_half(half_of_single(single_for_half((double)own.whole), LARGEST_HALF));
    else own.whole = is_float(from) ? integer_of_double(own.real, into) : integer_of_integer(own.whole, into);
    return own;
}

DEVICE voxel scaled(voxel own, const convert_arguments *all) {
    double stored = is_float(all->from) ? (double)own.real : (double)own.whole;
    double value = stored * all->slope + all->intercept;
    if (all->through == F32) own.real = single_of_double(value);
    else if (all->through == F16) own.real = single_of_half(half_of_single(single_for_half(value), LARGEST_HALF));
    else own.whole = integer_of_double(value, all->through);
    return own;
}

DEVICE float stepped(float x, const step *how, const float *statistics) {
    switch (how->kind) {
    case SCALE: return x * how->a + how->b;
    case WINDOW:
        x = x < how->a ? how->a : x;
        x = x > how->b ? how->b : x;
        return (x - how->a) * how->c + how->d;
    case STANDARDISE: return (x - how->a) / how->b;
    default: return (x - statistics[0]) / statistics[1];
    }
}

DEVICE int64_t looked_up(int64_t label, const convert_arguments *all) {
    const int64_t *pairs = (const int64_t *)all->pairs;
    uint64_t low = 0, high = all->pair_count;
    if (all->lookup == BYTES) {
        uint8_t byte = all->bytes[label & 0xff];
        return all->into == I8 ? (int64_t)(int8_t)byte : (int64_t)byte;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (pairs[2 * middle] < label) low = middle + 1;
        else high = middle;
    }
    if (low < all->pair_count && pairs[2 * low] == label) return pairs[2 * low + 1];
    return all->keeps_labels ? label : all->label;
}

DEVICE void store(voxel own, uint64_t target, uint32_t dtype, uint64_t place) {
    switch (dtype) {
    case BOOL: ((uint8_t *)target)[place] = own.whole != 0; break;
    case I8:
    case U8: ((uint8_t *)target)[place] = (uint8_t)own.whole; break;
    case I16:
    case U16: ((uint16_t *)target)[place] = (uint16_t)own.whole; break;
    case I32:
    case U32: ((uint32_t *)target)[place] = (uint32_t)own.whole; break;
    case I64: ((int64_t *)target)[place] = own.whole; break;
    case F16: ((uint16_t *)target)[place] = half_of_single(own.real, INFINITE_HALF); break;
    default: ((uint32_t *)target)[place] = bits_of_single(own.real);
    }
}

/* Where the voxel comes from that goes to this place of its channel. */
DEVICE uint32_t mirrored(uint32_t place, const uint32_t *extents, uint32_t mask) {
    uint32_t x = place % extents[2], rest = place / extents[2];
    uint32_t y = rest % extents[1], z = rest / extents[1];
    if (mask & 1) x = extents[2] - 1 - x;
    if (mask & 2) y = extents[1] - 1 - y;
    if (mask & 4) z = extents[0] - 1 - z;
    return (z * extents[1] + y) * extents[2] + x;
}

/* One voxel of one channel of one row; `plane` is the channel's number, counted over all rows. */
DEVICE void convert_voxel(const convert_arguments *all, uint32_t plane, uint32_t place) {
    uint64_t before = (uint64_t)plane * all->extents[0] * all->extents[1] * all->extents[2];
    uint32_t row = plane / all->channels, k;
    uint32_t mask = all->masks ? ((const uint8_t *)all->masks)[row] : all->mask;
    const float *statistics = (const float *)all->statistics;
    voxel own = load(all->source, all->from, before + (mask ? mirrored(place, all->extents, mask) : place));
    if (statistics) statistics += 2 * (all->is_of_each_row ? plane : plane % all->channels);
    own = all->is_scaled ? scaled(own, all) : cast(own, all->from, all->through);
    for (k = 0; k < all->step_count; k++) {
        own.real = stepped(own.real, &all->steps[k], statistics);
        if (all->through == F16) own.real = single_of_half(half_of_single(own.real, INFINITE_HALF));
    }
    own = cast(own, all->through, all->into);
    if (all->lookup) own.whole = looked_up(own.whole, all);
    store(own, all->target, all->into, before + place);
}

enum { PUT, ADD, ADD_WEIGHTED };

/* A prediction's part and where it belongs in the sums; distances are in elements, columns are neighbours. */
typedef struct {
    uint64_t sums, source;
    /* Weights of planes, rows and columns, for ADD_WEIGHTED. */
    uint64_t plane_weights, row_weights, column_weights;
    uint64_t sum_strides[3], source_strides[3];
    uint32_t extents[4];
    uint32_t from, mode;
} accumulate_arguments;

/* One row of a prediction's part: (channel * depth + plane) * height + row. */
DEVICE void accumulate_voxel(const accumulate_arguments *all, uint32_t row, uint32_t x) {
    uint32_t y = row % all->extents[2], rest = row / all->extents[2];
    uint32_t z = rest % all->extents[1], channel = rest / all->extents[1];
    uint64_t to = channel * all->sum_strides[0] + z * all->sum_strides[1] + y * all->sum_strides[2] + x;
    uint64_t at = channel * all->source_strides[0] + z * all->source_strides[1] + y * all->source_strides[2] + x;
    float value = cast(load(all->source, all->from, at), all->from, F32).real, *sum = (float *)all->sums + to;
    if (all->mode == PUT) {
        *sum = value;
    } else if (all->mode == ADD) {
        *sum = *sum + value;
    } else {
        float weight = ((const float *)all->plane_weights)[z] * ((const float *)all->row_weights)[y];
        *sum = *sum + weight * ((const float *)all->column_weights)[x] * value;
    }
}

#ifdef __CUDACC__

KERNEL(voxfeed_convert)(const convert_arguments all) {
    uint32_t voxels = all.extents[0] * all.extents[1] * all.extents[2], plane, place;
    for (plane = blockIdx.y; plane < all.rows * all.channels; plane += gridDim.y)
        for (place = blockIdx.x * blockDim.x + threadIdx.x; place < voxels; place += gridDim.x * blockDim.x)
            convert_voxel(&all, plane, place);
}

KERNEL(voxfeed_accumulate)(const accumulate_arguments all) {
    uint32_t rows = all.extents[0] * all.extents[1] * all.extents[2], row, x;
    for (row = blockIdx.y; row < rows; row += gridDim.y)
        for (x = blockIdx.x * blockDim.x + threadIdx.x; x < all.extents[3]; x += gridDim.x * blockDim.x)
            accumulate_voxel(&all, row, x);
}

#endif
