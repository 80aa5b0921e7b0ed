/* The mouth's box: both lips about the line between them, and what has been drawn there put into the picture. */
#include "lookup.h"

#define FULL 32767 /* of a share in 15 bits */
#define FOURFOLD 0x1000100010001LL /* times a number of 16 bits: four of it side by side */

static inline int lower_share(const Lips *l, int row, int x) {
    return (int)(bounded(((float)row - l->middle[x]) * l->steepness + 0.5f, 0.0f, 1.0f) * (float)FULL);
}

static void skin_row_c(const Lips *l, const Texture *t, int row, float *const upper[2], float *const lower[2]) {
    for (int x = 0; x < l->width; x++) {
        const int share = lower_share(l, row, x);
        int32_t above[4] = {0}, below[4] = {0};
        if (share < FULL) sample(t, upper[0][x], upper[1][x], above);
        if (share > 0) sample(t, lower[0][x], lower[1][x], below);
        for (int c = 0; c < 4; c++)
            l->face[4 * ((int64_t)row * l->width + x) + c] =
                (uint8_t)whole(share <= 0 ? above[c] : share >= FULL ? below[c] : mixed(above[c], below[c], share));
    }
}

#if defined(__x86_64__)
AVX2 static void skin_row_avx2(const Lips *l, const Texture *t, int row, float *const upper[2], float *const lower[2]) {
    for (int x = 0; x < l->width; x += 8) {
        if (x > l->width - 8) x = l->width - 8;
        int32_t shares[8];
        int least = FULL, most = 0;
        for (int k = 0; k < 8; k++) {
            const int share = shares[k] = lower_share(l, row, x + k);
            least = share < least ? share : least;
            most = share > most ? share : most;
        }
        __m256i above[2], below[2];
        if (least < FULL) sample8(t, upper[0] + x, upper[1] + x, above);
        if (most > 0) sample8(t, lower[0] + x, lower[1] + x, below);
        const __m256i *seen = most <= 0 ? above : below;
        if (least < FULL && most > 0) {
            for (int half = 0; half < 2; half++) {
                const int32_t *s = shares + 4 * half;
                const __m256i share =
                    _mm256_setr_epi64x(s[0] * FOURFOLD, s[1] * FOURFOLD, s[2] * FOURFOLD, s[3] * FOURFOLD);
                const __m256i apart = _mm256_sub_epi16(below[half], above[half]);
                const __m256i both = _mm256_add_epi16(above[half], _mm256_mulhrs_epi16(apart, share));
                /* a full share is the lower lip to the bit, as none is the upper one */
                below[half] = _mm256_blendv_epi8(both, below[half], _mm256_cmpeq_epi16(share, _mm256_set1_epi16(FULL)));
            }
            seen = below;
        }
        _mm256_storeu_si256((__m256i *)(l->face + 4 * ((int64_t)row * l->width + x)), packed8(seen));
    }
}
#endif

/* Look both lips up, each on its side of the line between them. `scratch`: six times row_room of the box. `plain`:
 * without AVX2. */
API void visavis_skin(
    const Lips *l, const Grid *upper, const Grid *lower, const Texture *texture, float *scratch, int32_t plain) {
    const int room = row_room(l->width, upper->cell), avx2 = !plain && has_avx2();
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
        if (some_over) spread(upper, l->left, l->top + row, l->width, scratch, over[0], over[1], avx2);
        if (some_under) spread(lower, l->left, l->top + row, l->width, scratch, under[0], under[1], avx2);
#if defined(__x86_64__)
        if (avx2) {
            skin_row_avx2(l, texture, row, over, under);
            continue;
        }
#endif
        skin_row_c(l, texture, row, over, under);
    }
}

/* What light there is in a shaded mouth has been through red skin: black is not (16, 128, 128) there. */
static const Four BLACK = {16.0f, 121.0f, 140.0f, 0.0f};

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

/* 0 above a line and 1 under it. */
static inline float under(float row, float line, float steepness) {
    return bounded((row - line) * steepness + 0.5f, 0.0f, 1.0f);
}

static inline float within(float row, float from, float to, float steepness) {
    const float share = under(row, from, steepness) - under(row, to, steepness);
    return share > 0.0f ? share : 0.0f;
}

static Four inside_at(const Opening *o, int row, int x, float shadow) {
    Four seen = {0, 0, 0, 0};
    for (int k = 0; k < o->patch_count; k++) {
        const Patch *p = o->patches + k;
        const float dx = (float)x - p->x, dy = (float)row - p->y;
        const float px = o->cosine * dx + o->sine * dy, py = o->cosine * dy - o->sine * dx;
        if (k && (px <= 0.0f || py <= 0.0f || px >= (float)(p->width - 1) || py >= (float)(p->height - 1))) continue;
        Four patch = look_up_patch(p, px, py);
        patch[0] *= p->light;
        seen = seen * (1.0f - patch[3]) + patch;
    }
    const float light = (1.0f - o->shadow_depth * shadow) * o->light[x];
    seen = seen * light + BLACK * (1.0f - light);
    const Four low = load_four(o->lip_lower), up = load_four(o->lip_upper);
    const float y = (float)row, by_low = o->soft_edge * o->across_lower[x], by_up = o->soft_edge * o->across_upper[x];
    const float rolled_low = low[3] * within(y, o->lower[x] - o->rolled[x], o->lower[x] + 2.0f, by_low);
    seen = seen * (1.0f - rolled_low) + low * rolled_low;
    const float rolled_up = up[3] * within(y, o->upper[x] - 2.0f, o->upper[x] + 0.5f * o->rolled[x], by_up);
    return seen * (1.0f - rolled_up) + up * rolled_up;
}

/* Draw what is seen between the lips, and take the shade of the line in which they meet off the edge of the lower one:
 * an open lip is lit there. */
API void visavis_open(const Opening *o) {
    const int fresh = o->top + o->height + o->fresh_rows <= o->face_height;
    for (int row = 0; row < o->height; row++) {
        uint8_t *px = o->face + 4 * ((int64_t)(o->top + row) * o->face_width + o->left);
        const uint8_t *lit = px + 4 * (int64_t)o->fresh_rows * o->face_width;
        const float y = (float)row;
        for (int x = 0; x < o->width; x++, px += 4, lit += 4) {
            float shadow = 1.0f;
            if (y > o->upper[x]) {
                shadow = o->shadow[x];
                o->shadow[x] = shadow * o->shadow_fall;
            }
            const float by_low = o->edge * o->across_lower[x], by_up = o->edge * o->across_upper[x];
            float opening = under(y, o->upper[x], by_up) - under(y, o->lower[x], by_low);
            if (opening < 0.0f) opening = 0.0f;
            const float soft = o->soft_edge * o->across_lower[x];
            const float edge =
                fresh ? within(y, o->lower[x] - 0.5f * o->fresh[x], o->lower[x] + o->fresh[x], soft) : 0.0f;
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

/* Put what was drawn, Y, U, V, transparency (height, width), even, into the planes of a picture: wherever it is no
 * clearer than `clear`. */
API void visavis_settle(
    const uint8_t *face, int32_t width, int32_t height, int32_t clear, uint8_t *const planes[3],
    const int32_t strides[3]) {
    for (int row = 0; row < height; row += 2) {
        const uint8_t *upper = face + 4 * (int64_t)row * width, *lower = upper + 4 * (int64_t)width;
        uint8_t *y0 = planes[0] + (int64_t)row * strides[0], *y1 = y0 + strides[0];
        uint8_t *u = planes[1] + (int64_t)(row / 2) * strides[1], *v = planes[2] + (int64_t)(row / 2) * strides[2];
        for (int x = 0; x < width; x++) {
            if (upper[4 * x + 3] <= clear) y0[x] = upper[4 * x];
            if (lower[4 * x + 3] <= clear) y1[x] = lower[4 * x];
        }
        for (int x = 0; x < width / 2; x++) {
            const uint8_t *a = upper + 8 * x, *b = lower + 8 * x;
            if (a[3] + a[7] + b[3] + b[7] + 2 > 4 * clear + 3) continue;
            u[x] = (uint8_t)((a[1] + a[5] + b[1] + b[5] + 2) >> 2);
            v[x] = (uint8_t)((a[2] + a[6] + b[2] + b[6] + 2) >> 2);
        }
    }
}
