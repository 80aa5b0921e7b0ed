/* Paints the lids of an eye into the texture: the skin of both lids drawn over the eye, the lashes, and a soft rim. */
#include "lookup.h"

#include <math.h>

typedef uint8_t Texel __attribute__((vector_size(4)));

/* The heights from which skin comes are rounded to this part of a px. */
#define STEPS_PER_PX 32.0f
#define FAR 5.0f /* a lash is nowhere as wide as so many of its widths */

static inline Four load_texel(const uint8_t *from) {
    Texel texel;
    memcpy(&texel, from, sizeof texel);
    return __builtin_convertvector(texel, Four);
}

/* Round to whole numbers, to the even one of two that are as near; for numbers below 2^22. */
static inline Four nearest(Four value) { return (value + 12582912.0f) - 12582912.0f; }

static inline void store_texel(uint8_t *to, Four value) {
    const Texel texel = __builtin_convertvector(__builtin_convertvector(value, FourInts), Texel);
    memcpy(to, &texel, sizeof texel);
}

static inline Four blend(Four over, Four under, float weight) {
    return nearest(over * weight + under * (1.0f - weight));
}

/* The skin that is drawn to a px from the height `from_y` of its column. */
static inline Four skin_from(const uint8_t *picture, int width, int height, int x, float from_y) {
    const float steps = bounded(from_y, 0.0f, (float)(height - 1)) * STEPS_PER_PX;
    const float whole = ((steps + 12582912.0f) - 12582912.0f) * (1.0f / STEPS_PER_PX);
    const int row = (int)whole;
    const float share = whole - (float)row;
    const uint8_t *at = picture + 4 * ((int64_t)row * width + x);
    const Four upper = load_texel(at);
    if (share == 0.0f) return upper;
    return nearest(upper + (load_texel(at + 4 * (int64_t)width) - upper) * share);
}

static inline float between(const float *first, const float *second, float share, int64_t px) {
    return first[px] * (1.0f - share) + second[px] * share;
}

/* Paint the lids over what shows between them, into `texels`, rows `stride` bytes apart. */
API void visavis_paint_lids(const Lids *l, uint8_t *texels, int32_t stride) {
    const int upper_moves = l->dropped > 0.0f || l->raised > 0.0f;
    for (int32_t row = 0; row < l->height; row++) {
        const float y = (float)row;
        for (int32_t x = 0; x < l->width; x++) {
            const int64_t px = (int64_t)row * l->width + x;
            const float edge = l->lid[x] + l->dropped * l->drop[x] - l->raised * l->lift[x];
            const float floor = l->rim[x] - l->risen * l->rise[x];
            const float covered = upper_moves ? bounded(edge - y + 0.5f, 0.0f, 1.0f) : 0.0f;
            const float raised = l->risen > 0.0f ? bounded(y - floor + 0.5f + l->overlap, 0.0f, 1.0f) : 0.0f;
            Four seen = load_texel(l->look + 4 * px);
            if (covered > 0.0f && raised < 1.0f) {
                const float from_y = between(l->upper_first, l->upper_second, l->upper_share, px);
                const Four skin = skin_from(l->lid_skin, l->width, l->height, x, from_y);
                seen = covered < 1.0f ? blend(skin, seen, covered) : skin;
            }
            if (raised > 0.0f) {
                const float from_y = between(l->lower_first, l->lower_second, l->lower_share, px);
                const Four skin = skin_from(l->open, l->width, l->height, x, from_y);
                seen = raised < 1.0f ? blend(skin, seen, raised) : skin;
            }
            const float distance = (y - edge) * l->per_lash;
            if (distance > -FAR && distance < FAR) {
                const float shade = expf(-0.5f * distance * distance) * l->lash_strength[x] * l->lash_share;
                seen = blend(load_texel(l->lash), seen, shade);
            }
            const float kept = l->rim_fade[px];
            if (kept < 1.0f) seen = blend(seen, load_texel(l->open + 4 * px), kept);
            store_texel(texels + (int64_t)row * stride + 4 * x, seen);
        }
    }
}
