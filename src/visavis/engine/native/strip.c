/* Draws the person over the still picture, strip by strip. One pass over the px looks up the texture, composites the
 * person over the still picture and splits the result into planes. */
#include "vectors.h"

/* person + transparency * still / 255, saturated; `person` is premultiplied. */
static inline uint8_t composite(int person, int transparency, int still) {
    const int product = still * transparency + 128, sum = person + ((product + (product >> 8)) >> 8);
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* The luma of the matte: MATTE_BLACK (16) to MATTE_WHITE (235) of render/layers.py. */
static inline uint8_t matte_of(int transparency) { return (uint8_t)(235 - (transparency * 219 + 127) / 255); }

static inline int average(int a, int b) { return (a + b + 1) >> 1; }

/* Draw the px [from, to) of two rows. at[0], at[1]: x and y of the places of the upper row; at[2], at[3]: of the lower
 * row. Chroma is looked up for every px and averaged over 2 x 2. */
static void blend_rows_c(const Strip *s, const Texture *texture, int row, int from, int to, float *const at[4]) {
    for (int x = from; x < to; x += 2) {
        int32_t seen[2][2][4];
        for (int r = 0; r < 2; r++)
            for (int k = 0; k < 2; k++) sample(texture, at[2 * r][x + k], at[2 * r + 1][x + k], seen[r][k]);
        for (int r = 0; r < 2; r++)
            for (int k = 0; k < 2; k++) {
                const int64_t luma = (int64_t)(row + r) * s->stride[0] + x + k;
                const int transparency = rounded(seen[r][k][3]);
                s->out[0][luma] = composite(rounded(seen[r][k][0]), transparency, s->still[0][luma]);
                if (s->matte) s->matte[(int64_t)(row + r) * s->matte_stride + x + k] = matte_of(transparency);
            }
        int32_t mean[4];
        for (int c = 1; c < 4; c++) {
            const int left = average(seen[0][0][c], seen[1][0][c]), right = average(seen[0][1][c], seen[1][1][c]);
            mean[c] = rounded(average(left, right));
        }
        for (int c = 1; c < 3; c++) {
            const int64_t place = (int64_t)(row / 2) * s->stride[c] + x / 2;
            s->out[c][place] = composite(mean[c], mean[3], s->still[c][place]);
        }
    }
}

#ifndef NO_VECTORS
VECTORS static inline void luma8(const Strip *s, int row, int x, const Eight *seen) {
    const int64_t place = (int64_t)row * s->stride[0] + x;
    composite_luma8(seen, s->still[0] + place, s->out[0] + place);
    if (!s->matte) return;
    uint8_t transparencies[8];
    store_transparency8(transparencies, seen);
    for (int k = 0; k < 8; k++) s->matte[(int64_t)row * s->matte_stride + x + k] = matte_of(transparencies[k]);
}

VECTORS static void blend_rows_vectors(
    const Strip *s, const Texture *texture, int row, int from, int to, float *const at[4]) {
    for (int x = from; x < to; x += 8) {
        if (x > to - 8) x = to - 8; /* draws some px twice, which is harmless: no px that is written is read */
        Eight upper, lower;
        sample8(texture, at[0] + x, at[1] + x, &upper);
        sample8(texture, at[2] + x, at[3] + x, &lower);
        luma8(s, row, x, &upper);
        luma8(s, row + 1, x, &lower);
        const int64_t u = (int64_t)(row / 2) * s->stride[1] + x / 2, v = (int64_t)(row / 2) * s->stride[2] + x / 2;
        const uint8_t *const still[2] = {s->still[1] + u, s->still[2] + v};
        uint8_t *const out[2] = {s->out[1] + u, s->out[2] + v};
        composite_chroma4(&upper, &lower, still, out);
    }
}
#endif

static void draw(const Strip *s, const Grid *grid, const Texture *texture, float *scratch, int vectors) {
    const int room = row_room(s->width, grid->cell);
    float *const begin = scratch + 2 * room + SLACK + grid->cell;
    float *const at[4] = {begin, begin + room, begin + 2 * room, begin + 3 * room};
    for (int row = 0; row < s->height; row += 2) {
        const int from = s->spans[row], to = s->spans[row + 1];
        if (from >= to) continue;
        for (int r = 0; r < 2; r++) {
            float *const x = at[2 * r] + from, *const y = at[2 * r + 1] + from;
            interpolate_row(grid, s->left + from, s->top + row + r, to - from, scratch, x, y, vectors);
        }
#ifndef NO_VECTORS
        if (vectors) {
            blend_rows_vectors(s, texture, row, from, to, at);
            continue;
        }
#endif
        blend_rows_c(s, texture, row, from, to, at);
    }
}

/* Return whether a node of the strip has moved by more than `threshold` since the strip was drawn. If so, remember the
 * places of all its nodes. */
static int moved_since_drawn(Strip *s, const Grid *grid, float threshold) {
    const int columns = 2 * (s->last_column - s->first_column + 1);
    int moved = !s->is_drawn || threshold < 0;
    for (int j = s->first_row; !moved && j <= s->last_row; j++) {
        const float *now = grid->nodes + 2 * ((int64_t)j * grid->across + s->first_column);
        const float *then = s->drawn + (int64_t)(j - s->first_row) * columns;
        int far = 0;
        for (int k = 0; k < columns; k++) far |= now[k] - then[k] > threshold || then[k] - now[k] > threshold;
        moved = far;
    }
    if (!moved) return 0;
    for (int j = s->first_row; j <= s->last_row; j++) {
        const float *now = grid->nodes + 2 * ((int64_t)j * grid->across + s->first_column);
        memcpy(s->drawn + (int64_t)(j - s->first_row) * columns, now, (size_t)columns * sizeof(float));
    }
    s->is_drawn = 1;
    return 1;
}

/* Draw the strips in which a node has moved by more than `threshold` texture px, and those that touch `changed`, pairs
 * of rows (first, end), px from the beginning of the grid. Return how many were drawn. `scratch`: six times row_room of
 * the widest strip. `portable`: use no vectors; tests compare both ways. */
API int32_t visavis_draw_strips(
    Strip *strips, int32_t count, const Grid *grid, const Texture *texture, float threshold, const int32_t *changed,
    int32_t changes, float *scratch, int32_t portable) {
    const int vectors = !portable && has_vectors();
    int32_t drawn = 0;
    for (int32_t k = 0; k < count; k++) {
        Strip *s = strips + k;
        int touched = 0;
        for (int32_t c = 0; c < changes; c++)
            touched |= changed[2 * c] < s->top + s->height && changed[2 * c + 1] > s->top;
        if (!moved_since_drawn(s, grid, touched ? -1.0f : threshold)) continue;
        drawn++;
        draw(s, grid, texture, scratch, vectors);
    }
    return drawn;
}
