/* Displacement fields on a coarse grid: their weighted sum, and their inverse. */
#include "vectors.h"

#define BLOCK 512 /* floats of a sum that stay in the first cache while all rows are added to them */

static inline __attribute__((always_inline)) void add_rows(
    const float *weights, const float *fields, int32_t rows, int32_t n, float *sum) {
    for (int32_t begin = 0; begin < n; begin += BLOCK) {
        const int32_t end = n - begin < BLOCK ? n : begin + BLOCK;
        for (int32_t r = 0; r < rows; r++) {
            const float weight = weights[r];
            if (weight == 0.0f) continue;
            const float *field = fields + (int64_t)r * n;
            for (int32_t k = begin; k < end; k++) sum[k] += weight * field[k];
        }
    }
}

#ifndef NO_VECTORS
VECTORS static void add_rows_vectors(
    const float *weights, const float *fields, int32_t rows, int32_t n, float *sum) {
    add_rows(weights, fields, rows, n, sum);
}
#endif

/* sum (n) = weights (rows) x fields (rows, n). Rows with weight 0 cost nothing. `add`: add to `sum` instead.
 * `portable`: use no vectors. */
API void visavis_weighted_sum(
    const float *weights, const float *fields, int32_t rows, int32_t n, float *sum, int32_t add, int32_t portable) {
    if (!add) memset(sum, 0, (size_t)n * sizeof(float));
#ifndef NO_VECTORS
    if (!portable && has_vectors()) {
        add_rows_vectors(weights, fields, rows, n, sum);
        return;
    }
#else
    (void)portable;
#endif
    add_rows(weights, fields, rows, n, sum);
}

#if defined(__clang__)
static inline Four upper_half(Four pairs) { return __builtin_shufflevector(pairs, pairs, 2, 3, 2, 3); }
#else
static inline Four upper_half(Four pairs) { return __builtin_shuffle(pairs, (FourInts){2, 3, 2, 3}); }
#endif

/* Find the place of every node of a row minus its displacement `from`: its cell, as the index of the cell's first node,
 * and its place within the cell, x and y from 0 to 1. */
static void places_of(
    const float *from, int across, int row, float per_px, float right, float bottom, int32_t *cells, float *shares) {
    for (int i = 0; i < across; i++) {
        const float x = bounded((float)i - from[2 * i] * per_px, 0.0f, right);
        const float y = bounded((float)row - from[2 * i + 1] * per_px, 0.0f, bottom);
        const int32_t ix = (int32_t)x, iy = (int32_t)y;
        cells[i] = iy * across + ix;
        shares[2 * i] = x - (float)ix;
        shares[2 * i + 1] = y - (float)iy;
    }
}

/* Solve u(q) = F(q - u(q)) by `rounds` of substitution. F (`field`) and u are pairs in px at across x down nodes,
 * `cell` px apart; beyond the rim, F has its value at the rim. Then out = rest - zoom * u, or out = u if `rest` is
 * NULL. `work`: scratch memory for two times the pairs, and three numbers per column. */
API void visavis_invert(
    const float *field, int32_t across, int32_t down, int32_t cell, int32_t rounds, const float *rest, float zoom,
    float *work, float *out) {
    const float per_px = 1.0f / (float)cell;
    /* Below the last node, so that there is always one more node to the right and one more below. */
    const float right = (float)(across - 1) - 1e-3f, bottom = (float)(down - 1) - 1e-3f;
    const int64_t pairs = (int64_t)across * down;
    float *shares = work + 4 * pairs;
    int32_t *cells = (int32_t *)(shares + 2 * across);
    const float *before = field;
    for (int32_t round = 0; round < rounds; round++) {
        float *now = work + (round & 1) * 2 * pairs;
        for (int32_t j = 0; j < down; j++) {
            float *to = now + 2 * (int64_t)j * across;
            places_of(before + 2 * (int64_t)j * across, across, j, per_px, right, bottom, cells, shares);
            for (int32_t i = 0; i < across; i++) {
                const float *corner = field + 2 * (int64_t)cells[i];
                const Four upper = load_four(corner), lower = load_four(corner + 2 * across);
                const Four left = upper + (lower - upper) * shares[2 * i + 1]; /* and right, in its upper half */
                const Four mixed = left + (upper_half(left) - left) * shares[2 * i];
                memcpy(to + 2 * i, &mixed, 2 * sizeof(float));
            }
        }
        before = now;
    }
    if (rest)
        for (int64_t k = 0; k < 2 * pairs; k++) out[k] = rest[k] - zoom * before[k];
    else
        memcpy(out, before, (size_t)pairs * 2 * sizeof(float));
}

/* Copy a part of a grid, across x down pairs, whose rows are `from_stride` and `to_stride` pairs apart. */
static void copy_rows(
    const float *from, int32_t from_stride, float *to, int32_t to_stride, int32_t across, int32_t down) {
    for (int64_t j = 0; j < down; j++)
        memcpy(to + 2 * j * to_stride, from + 2 * j * from_stride, 2 * (size_t)across * sizeof(float));
}

/* Find the places of all nodes for the weights of a frame. `head_rounds`: of substitution for the whole grid;
 * `upper_rounds`, `lower_rounds`: for the two layers of the mouth. If `speaks` is 0, the weights of the mouth are 0,
 * and `lower` stays as it is. */
API void visavis_find_sources(
    const Sources *s, const float *face_weights, const float *mouth_weights, int32_t speaks, int32_t head_rounds,
    int32_t upper_rounds, int32_t lower_rounds, int32_t portable) {
    const int32_t across = s->across, down = s->down, mouth_across = s->mouth_across, mouth_down = s->mouth_down;
    visavis_weighted_sum(face_weights, s->face_fields, s->face_rows, 2 * across * down, s->field, 0, portable);
    visavis_invert(s->field, across, down, s->cell, head_rounds, s->at_rest, s->zoom, s->work, s->upper);
    if (speaks) {
        const int64_t begin = 2 * ((int64_t)s->mouth_top * across + s->mouth_left);
        const int32_t n = 2 * mouth_across * mouth_down;
        copy_rows(s->field + begin, across, s->mouth_field, mouth_across, mouth_across, mouth_down);
        visavis_weighted_sum(mouth_weights, s->mouth_fields, s->mouth_rows, n, s->mouth_field, 1, portable);
        visavis_invert(
            s->mouth_field, mouth_across, mouth_down, s->cell, upper_rounds, s->mouth_at_rest, s->zoom, s->work,
            s->lower);
        copy_rows(s->lower, mouth_across, s->upper + begin, across, mouth_across, mouth_down);
        visavis_weighted_sum(mouth_weights, s->jump_fields, s->mouth_rows, n, s->mouth_field, 1, portable);
        visavis_invert(
            s->mouth_field, mouth_across, mouth_down, s->cell, lower_rounds, s->mouth_at_rest, s->zoom, s->work,
            s->lower);
    }
    memcpy(s->both, s->upper, 2 * (size_t)across * (size_t)down * sizeof(float));
}
