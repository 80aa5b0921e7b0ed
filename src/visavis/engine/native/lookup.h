/* Texture look-up: a coarse grid of nodes says where in the texture each px comes from.
 *
 * Everything exists twice, in portable C and with AVX2, and both give the same bytes. The same motion gives the same
 * picture on every machine: after the first rounding there are only integers, and before it only sums and products,
 * which no compiler may contract (-ffp-contract=off).
 */
#ifndef VISAVIS_LOOKUP_H
#define VISAVIS_LOOKUP_H

#include "structs.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#endif

#define API __attribute__((visibility("default")))
#define FRACTION_BITS 6 /* of a texel: eight bits of colour, these six, and a sum of two of them fit into 16 bits */
#define ONE (1 << FRACTION_BITS)
#define SLACK 16 /* floats before and after a row of places that may be overwritten */

/* Four floats at once, on any machine. */
typedef float Four __attribute__((vector_size(16)));
typedef int32_t FourInts __attribute__((vector_size(16)));

static inline Four load_four(const float *from) {
    Four four;
    memcpy(&four, from, sizeof four);
    return four;
}

/* Of fields.c, for the other files. */
API void visavis_weighted_sum(
    const float *weights, const float *fields, int32_t rows, int32_t n, float *sum, int32_t add, int32_t portable);

/* Whether the processor has AVX2 and the operating system saves its registers. The answer is kept: in a virtual
 * machine, a CPUID costs microseconds. */
static inline int has_avx2(void) {
#if defined(__x86_64__)
    static int known = -1;
    if (known < 0) {
        uint32_t a, b, c, d, low = 0, high = 0;
        int has = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
        if (has) __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        known = has && (low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
    }
    return known;
#else
    return 0;
#endif
}

/* How many floats one row of scratch memory has: the places of a row of `width` px, or a row of mixed nodes. */
static inline int row_room(int width, int cell) { return width + 2 * (SLACK + cell); }

static inline int floor_div(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* Where a row of px lies among the nodes. */
typedef struct {
    int first, last; /* the columns of nodes between which all px lie */
    float begin;     /* distance from a node to the first px at or after it, as a share of a cell */
    float per_cell;  /* 1 / cell */
} RowSpan;

/* Interpolate between the rows of nodes above and below the height `y`, into `line`. */
static inline __attribute__((always_inline)) RowSpan mix_rows(
    const Grid *grid, int left, int y, int width, float *line) {
    /* In half px: so the nodes of even cells, too, have whole coordinates. */
    const int cell = grid->cell, twice = 2 * cell;
    const float per_cell = 1.0f / (float)cell;
    const int row = floor_div(2 * y - (cell - 1), twice);
    const float down = (float)(2 * y - (cell - 1) - twice * row) * 0.5f * per_cell;
    const int first = floor_div(2 * left - (cell - 1), twice);
    const int last = floor_div(2 * (left + width - 1) - (cell - 1), twice) + 1;
    const float *above = grid->nodes + 2 * ((int64_t)row * grid->across + first), *below = above + 2 * grid->across;
    for (int k = 0; k < 2 * (last - first + 1); k++) line[k] = above[k] + (below[k] - above[k]) * down;
    return (RowSpan){first, last, (cell & 1) ? 0.0f : 0.5f * per_cell, per_cell};
}

/* Write the places of the px left to left + width at height `y` into at_x and at_y. `line`: scratch memory of two rows,
 * see row_room. */
static inline void interpolate_row_c(
    const Grid *grid, int left, int y, int width, float *line, float *at_x, float *at_y) {
    const RowSpan span = mix_rows(grid, left, y, width, line);
    for (int i = span.first; i < span.last; i++, line += 2) {
        const int to = i * grid->cell + grid->cell / 2 - left; /* the first px at or after the node */
        for (int k = 0; k < grid->cell; k++) {
            const float share = span.begin + (float)k * span.per_cell;
            at_x[to + k] = line[0] + (line[2] - line[0]) * share;
            at_y[to + k] = line[1] + (line[3] - line[1]) * share;
        }
    }
}

/* Hold `value` within bounds. NaN becomes `low`, as with MAXPS: whatever the nodes say, no look-up leaves a texture. */
static inline float bounded(float value, float low, float high) {
    return value > low ? (value < high ? value : high) : low;
}

/* a + (b - a) * share / 32768, rounded as PMULHRSW rounds. */
static inline int32_t mix(int32_t a, int32_t b, int32_t share) { return a + (((b - a) * share + 0x4000) >> 15); }

/* Look up one place by bilinear interpolation: Y, U, V and transparency with FRACTION_BITS fraction bits. */
static inline void sample(const Texture *t, float x, float y, int32_t out[4]) {
    x = bounded(x, -1.0f, (float)t->width) + 1.0f;
    y = bounded(y, -1.0f, (float)t->height) + 1.0f;
    const int ix = (int)x, iy = (int)y;
    const int fx = (int)((x - (float)ix) * (float)ONE + 0.5f), fy = (int)((y - (float)iy) * 32767.0f);
    const uint8_t *top = t->texels + (int64_t)(iy - 1) * t->stride + (ix - 1) * 4, *bottom = top + t->stride;
    for (int c = 0; c < 4; c++) {
        const int above = top[c] * (ONE - fx) + top[c + 4] * fx;
        const int below = bottom[c] * (ONE - fx) + bottom[c + 4] * fx;
        out[c] = mix(above, below, fy);
    }
}

static inline int rounded(int32_t value) { return (value + ONE / 2) >> FRACTION_BITS; }

#if defined(__x86_64__)
AVX2 static inline void interpolate_row_avx2(
    const Grid *grid, int left, int y, int width, float *line, float *at_x, float *at_y) {
    const RowSpan span = mix_rows(grid, left, y, width, line);
    const __m256 eight = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
    for (int p = 0; p < grid->cell; p += 8) {
        const __m256 behind = _mm256_add_ps(eight, _mm256_set1_ps((float)p));
        const __m256 cells = _mm256_mul_ps(behind, _mm256_set1_ps(span.per_cell));
        const __m256 share = _mm256_add_ps(_mm256_set1_ps(span.begin), cells);
        const int rest = grid->cell - p;
        const float *node = line;
        for (int i = span.first; i < span.last; i++, node += 2) {
            const int to = i * grid->cell + grid->cell / 2 - left + p;
            const __m256 dx = _mm256_mul_ps(_mm256_set1_ps(node[2] - node[0]), share);
            const __m256 dy = _mm256_mul_ps(_mm256_set1_ps(node[3] - node[1]), share);
            const __m256 x8 = _mm256_add_ps(_mm256_set1_ps(node[0]), dx);
            const __m256 y8 = _mm256_add_ps(_mm256_set1_ps(node[1]), dy);
            if (p == 0 || rest >= 8) { /* px written beyond this cell are overwritten with the next cell */
                _mm256_storeu_ps(at_x + to, x8);
                _mm256_storeu_ps(at_y + to, y8);
            } else { /* the beginning of the next cell is written already and must stay */
                const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                const __m256i own = _mm256_cmpgt_epi32(_mm256_set1_epi32(rest), order);
                _mm256_maskstore_ps(at_x + to, own, x8);
                _mm256_maskstore_ps(at_y + to, own, y8);
            }
        }
    }
}

/* Four times eight bytes, at `places` from `base`: no slower than a gather, and much faster where gathers are
 * mitigated. */
AVX2 static inline __m256i load4(const uint8_t *base, const int32_t *places) {
    long long at[4];
    for (int k = 0; k < 4; k++) memcpy(at + k, base + places[k], 8);
    return _mm256_set_epi64x(at[3], at[2], at[1], at[0]);
}

/* Look up eight places, as two groups of four, exactly as `sample` does. */
AVX2 static inline void sample8(const Texture *t, const float *at_x, const float *at_y, __m256i out[2]) {
    const __m256 one = _mm256_set1_ps(1.0f), least = _mm256_set1_ps(-1.0f);
    const __m256 width = _mm256_set1_ps((float)t->width), height = _mm256_set1_ps((float)t->height);
    const __m256 x = _mm256_add_ps(_mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(at_x), least), width), one);
    const __m256 y = _mm256_add_ps(_mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(at_y), least), height), one);
    const __m256i ix = _mm256_cvttps_epi32(x), iy = _mm256_cvttps_epi32(y);
    const __m256 across = _mm256_sub_ps(x, _mm256_cvtepi32_ps(ix)), down = _mm256_sub_ps(y, _mm256_cvtepi32_ps(iy));
    const __m256 steps = _mm256_mul_ps(across, _mm256_set1_ps((float)ONE));
    const __m256i fx = _mm256_cvttps_epi32(_mm256_add_ps(steps, _mm256_set1_ps(0.5f)));
    const __m256i fy = _mm256_cvttps_epi32(_mm256_mul_ps(down, _mm256_set1_ps(32767.0f)));
    const __m256i rows = _mm256_madd_epi16(iy, _mm256_set1_epi32(t->stride));
    const __m256i place = _mm256_add_epi32(rows, _mm256_slli_epi32(ix, 2));
    int32_t places[8];
    _mm256_storeu_si256((__m256i *)places, place);
    /* (ONE - fx, fx) as two bytes, repeated in each 16 bits of a texel's 64; the same for fy */
    const __m256i wx = _mm256_or_si256(_mm256_sub_epi32(_mm256_set1_epi32(ONE), fx), _mm256_slli_epi32(fx, 8));
    const __m256i halves[2] = {_mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)};
    const __m256i twice = _mm256_setr_epi8(
        0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13, 0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
    const __m256i pairs = _mm256_setr_epi8( /* Y Y' U U' V V' A A' */
        0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    const uint8_t *top = t->texels - t->stride - 4, *bottom = t->texels - 4;
    for (int half = 0; half < 2; half++) {
        const __m256i by_x = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(wx, halves[half]), twice);
        const __m256i by_y = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(fy, halves[half]), twice);
        const __m256i a = _mm256_maddubs_epi16(_mm256_shuffle_epi8(load4(top, places + 4 * half), pairs), by_x);
        const __m256i b = _mm256_maddubs_epi16(_mm256_shuffle_epi8(load4(bottom, places + 4 * half), pairs), by_x);
        out[half] = _mm256_add_epi16(a, _mm256_mulhrs_epi16(_mm256_sub_epi16(b, a), by_y));
    }
}

AVX2 static inline __m256i rounded16(__m256i value) {
    return _mm256_srli_epi16(_mm256_add_epi16(value, _mm256_set1_epi16(ONE / 2)), FRACTION_BITS);
}

/* Round the results of sample8 to eight texels of four bytes. */
AVX2 static inline __m256i packed8(const __m256i at[2]) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(rounded16(at[0]), rounded16(at[1])), 0xD8);
}
#endif

/* Interpolate a row of places, with AVX2 if `avx2`. */
static inline void interpolate_row(
    const Grid *grid, int left, int y, int width, float *line, float *at_x, float *at_y, int avx2) {
#if defined(__x86_64__)
    if (avx2) {
        interpolate_row_avx2(grid, left, y, width, line, at_x, at_y);
        return;
    }
#else
    (void)avx2;
#endif
    interpolate_row_c(grid, left, y, width, line, at_x, at_y);
}

#endif
