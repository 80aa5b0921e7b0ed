/* Texture look-up: a coarse grid of nodes says where in the texture each px comes from.
 *
 * Here it is in portable C. vectors.h has the same for eight px at once, with AVX2 or NEON, and all give the same
 * bytes: after the first rounding there are only integers, and before it only sums and products, which no compiler may
 * contract (-ffp-contract=off). So the same places give the same picture on every machine.
 */
#ifndef VISAVIS_LOOKUP_H
#define VISAVIS_LOOKUP_H

#include "structs.h"

#include <string.h>

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif
#define FRACTION_BITS 6 /* of a texel: eight bits of colour, these six, and a sum of two of them fit into 16 bits */
#define ONE (1 << FRACTION_BITS)
#define FULL 32767 /* a share of 1, in 15 bits */
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

#endif
