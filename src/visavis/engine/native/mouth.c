/* Draws the mouth: both lips, the opening between them, and then the result into the planes of the picture. */
#include "vectors.h"

/* The share of the lower layer in a px, 0 to FULL. */
static inline int lower_share(const Lips *l, int row, int x) {
    return (int)(bounded(((float)row - l->middle[x]) * l->steepness + 0.5f, 0.0f, 1.0f) * (float)FULL);
}

static void lips_row_c(const Lips *l, const Texture *t, int row, float *const upper[2], float *const lower[2]) {
    for (int x = 0; x < l->width; x++) {
        const int share = lower_share(l, row, x);
        int32_t above[4] = {0}, below[4] = {0};
        if (share < FULL) sample(t, upper[0][x], upper[1][x], above);
        if (share > 0) sample(t, lower[0][x], lower[1][x], below);
        for (int c = 0; c < 4; c++)
            l->pixels[4 * ((int64_t)row * l->width + x) + c] =
                (uint8_t)rounded(share <= 0 ? above[c] : share >= FULL ? below[c] : mix(above[c], below[c], share));
    }
}

#ifndef NO_VECTORS
VECTORS static void lips_row_vectors(
    const Lips *l, const Texture *t, int row, float *const upper[2], float *const lower[2]) {
    for (int x = 0; x < l->width; x += 8) {
        if (x > l->width - 8) x = l->width - 8;
        int32_t shares[8];
        int least = FULL, most = 0;
        for (int k = 0; k < 8; k++) {
            const int share = shares[k] = lower_share(l, row, x + k);
            least = share < least ? share : least;
            most = share > most ? share : most;
        }
        Eight above, below;
        if (least < FULL) sample8(t, upper[0] + x, upper[1] + x, &above);
        if (most > 0) sample8(t, lower[0] + x, lower[1] + x, &below);
        if (least < FULL && most > 0) mix8(&above, shares, &below);
        store_texels8(l->pixels + 4 * ((int64_t)row * l->width + x), most > 0 ? &below : &above);
    }
}
#endif

/* Look up both lips: the upper layer above the line between them, the lower layer below it. `scratch`: six times
 * row_room of the box. `portable`: use no vectors. */
API void visavis_draw_lips(
    const Lips *l, const Grid *upper, const Grid *lower, const Texture *texture, float *scratch, int32_t portable) {
    const int room = row_room(l->width, upper->cell), vectors = !portable && has_vectors();
    float *const begin = scratch + 2 * room + SLACK + upper->cell;
    float *const over[2] = {begin, begin + room}, *const under[2] = {begin + 2 * room, begin + 3 * room};
    float first = l->middle[0], last = l->middle[0];
    for (int x = 1; x < l->width; x++) {
        first = l->middle[x] < first ? l->middle[x] : first;
        last = l->middle[x] > last ? l->middle[x] : last;
    }
    const float soft = 0.5f / l->steepness + 1.0f;
    for (int row = 0; row < l->height; row++) {
        const int some_over = (float)row < last + soft, some_under = (float)row > first - soft;
        if (some_over) interpolate_row(upper, l->left, l->top + row, l->width, scratch, over[0], over[1], vectors);
        if (some_under) interpolate_row(lower, l->left, l->top + row, l->width, scratch, under[0], under[1], vectors);
#ifndef NO_VECTORS
        if (vectors) {
            lips_row_vectors(l, texture, row, over, under);
            continue;
        }
#endif
        lips_row_c(l, texture, row, over, under);
    }
}

/* The colour of a part of the mouth without light. It is slightly red, because light reaches it through skin; neutral
 * black would be (16, 128, 128). */
static const Four BLACK = {16.0f, 121.0f, 140.0f, 0.0f};

/* Look up one place of a patch by bilinear interpolation. */
static inline Four look_up_patch(const Patch *p, float x, float y) {
    x = bounded(x, 0.0f, (float)(p->width - 1) - 1e-3f);
    y = bounded(y, 0.0f, (float)(p->height - 1) - 1e-3f);
    const int ix = (int)x, iy = (int)y;
    const float fx = x - (float)ix, fy = y - (float)iy;
    const float *corner = p->yuva + 4 * ((int64_t)iy * p->width + ix), *below = corner + 4 * p->width;
    const Four a = load_four(corner), b = load_four(corner + 4), c = load_four(below), d = load_four(below + 4);
    const Four upper = a + (b - a) * fx, lower = c + (d - c) * fx;
    return upper + (lower - upper) * fy;
}

/* 0 above a line, 1 below it, with a soft edge. */
static inline float under(float row, float line, float steepness) {
    return bounded((row - line) * steepness + 0.5f, 0.0f, 1.0f);
}

/* 1 between two lines, 0 beside them, with soft edges. */
static inline float within(float row, float from, float to, float steepness) {
    const float share = under(row, from, steepness) - under(row, to, steepness);
    return share > 0.0f ? share : 0.0f;
}

/* The colour of the inside of the mouth at one px: all patches, shaded, then the inner sides of both lips. */
static Four inside_at(const Opening *o, int row, int x, float shadow) {
    Four seen = {0, 0, 0, 0};
    for (int k = 0; k < o->patch_count; k++) {
        const Patch *p = o->patches + k;
        const float dx = (float)x - p->x, dy = (float)row - p->y;
        const float px = o->roll_cosine * dx + o->roll_sine * dy, py = o->roll_cosine * dy - o->roll_sine * dx;
        if (k && (px <= 0.0f || py <= 0.0f || px >= (float)(p->width - 1) || py >= (float)(p->height - 1))) continue;
        Four patch = look_up_patch(p, px, py);
        patch[0] *= p->light;
        seen = seen * (1.0f - patch[3]) + patch;
    }
    const float light = (1.0f - o->shadow_depth * shadow) * o->light[x];
    seen = seen * light + BLACK * (1.0f - light);
    const Four low = load_four(o->lip_lower), up = load_four(o->lip_upper);
    const float y = (float)row;
    const float by_low = o->inner_steepness * o->cosine_lower[x], by_up = o->inner_steepness * o->cosine_upper[x];
    const float inner_low = low[3] * within(y, o->lower[x] - o->inner[x], o->lower[x] + 2.0f, by_low);
    seen = seen * (1.0f - inner_low) + low * inner_low;
    const float inner_up = up[3] * within(y, o->upper[x] - 2.0f, o->upper[x] + 0.5f * o->inner[x], by_up);
    return seen * (1.0f - inner_up) + up * inner_up;
}

/* Draw the inside of the mouth between the lips, and recolour the edge of the lower lip. Closed lips leave the shade of
 * the line between them on that edge, but an open lip is lit there. */
API void visavis_draw_opening(const Opening *o) {
    const int recolours = o->top + o->height + o->lit_rows_below <= o->pixels_height;
    for (int row = 0; row < o->height; row++) {
        uint8_t *px = o->pixels + 4 * ((int64_t)(o->top + row) * o->pixels_width + o->left);
        const uint8_t *lit = px + 4 * (int64_t)o->lit_rows_below * o->pixels_width;
        const float y = (float)row;
        for (int x = 0; x < o->width; x++, px += 4, lit += 4) {
            float shadow = 1.0f;
            if (y > o->upper[x]) {
                shadow = o->shadow[x];
                o->shadow[x] = shadow * o->shadow_decay;
            }
            const float by_low = o->edge_steepness * o->cosine_lower[x], by_up = o->edge_steepness * o->cosine_upper[x];
            float opening = under(y, o->upper[x], by_up) - under(y, o->lower[x], by_low);
            if (opening < 0.0f) opening = 0.0f;
            const float soft = o->inner_steepness * o->cosine_lower[x];
            const float recoloured = o->recoloured[x];
            const float edge =
                recolours ? within(y, o->lower[x] - 0.5f * recoloured, o->lower[x] + recoloured, soft) : 0.0f;
            if (opening == 0.0f && edge == 0.0f) continue;
            Four seen = {px[0], px[1], px[2], px[3]};
            if (edge > 0.0f) seen = seen * (1.0f - edge) + (Four){lit[0], lit[1], lit[2], lit[3]} * edge;
            if (opening > 0.0f) {
                Four inside = inside_at(o, row, x, shadow);
                inside[3] = 0.0f;
                seen = seen * (1.0f - opening) + inside * opening;
            }
            for (int c = 0; c < 4; c++) px[c] = (uint8_t)(bounded(seen[c], 0.0f, 255.0f) + 0.5f);
        }
    }
}

/* Write pixels, Y, U, V, transparency (height, width), both even, into the planes of a picture, wherever their
 * transparency is at most `transparency`. */
API void visavis_write_planes(
    const uint8_t *pixels, int32_t width, int32_t height, int32_t transparency, uint8_t *const planes[3],
    const int32_t strides[3]) {
    for (int row = 0; row < height; row += 2) {
        const uint8_t *upper = pixels + 4 * (int64_t)row * width, *lower = upper + 4 * (int64_t)width;
        uint8_t *y0 = planes[0] + (int64_t)row * strides[0], *y1 = y0 + strides[0];
        uint8_t *u = planes[1] + (int64_t)(row / 2) * strides[1], *v = planes[2] + (int64_t)(row / 2) * strides[2];
        for (int x = 0; x < width; x++) {
            if (upper[4 * x + 3] <= transparency) y0[x] = upper[4 * x];
            if (lower[4 * x + 3] <= transparency) y1[x] = lower[4 * x];
        }
        for (int x = 0; x < width / 2; x++) {
            const uint8_t *a = upper + 8 * x, *b = lower + 8 * x;
            if (a[3] + a[7] + b[3] + b[7] + 2 > 4 * transparency + 3) continue;
            u[x] = (uint8_t)((a[1] + a[5] + b[1] + b[5] + 2) >> 2);
            v[x] = (uint8_t)((a[2] + a[6] + b[2] + b[6] + 2) >> 2);
        }
    }
}
