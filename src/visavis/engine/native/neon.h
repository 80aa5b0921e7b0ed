/* The vectors of arm64: NEON, which every such processor has. vectors.h says what each function is. */
#ifndef VISAVIS_NEON_H
#define VISAVIS_NEON_H

#include "lookup.h"

#include <arm_neon.h>

#define VECTORS

/* Two px in each pair: Y, U, V, transparency, Y, U, V, transparency. */
typedef struct {
    uint16x8_t pair[4];
} Eight;

static inline int has_vectors(void) { return 1; }

static inline void interpolate_row_vectors(
    const Grid *grid, int left, int y, int width, float *line, float *at_x, float *at_y) {
    const RowSpan span = mix_rows(grid, left, y, width, line);
    const float32x4_t four = {0, 1, 2, 3};
    for (int p = 0; p < grid->cell; p += 4) {
        const float32x4_t cells = vmulq_n_f32(vaddq_f32(four, vdupq_n_f32((float)p)), span.per_cell);
        const float32x4_t share = vaddq_f32(vdupq_n_f32(span.begin), cells);
        const int rest = grid->cell - p;
        const float *node = line;
        for (int i = span.first; i < span.last; i++, node += 2) {
            const int to = i * grid->cell + grid->cell / 2 - left + p;
            const float32x4_t x4 = vaddq_f32(vdupq_n_f32(node[0]), vmulq_n_f32(share, node[2] - node[0]));
            const float32x4_t y4 = vaddq_f32(vdupq_n_f32(node[1]), vmulq_n_f32(share, node[3] - node[1]));
            if (p == 0 || rest >= 4) { /* px written beyond this cell are overwritten with the next cell */
                vst1q_f32(at_x + to, x4);
                vst1q_f32(at_y + to, y4);
            } else { /* the beginning of the next cell is written already and must stay */
                float both[2][4];
                vst1q_f32(both[0], x4);
                vst1q_f32(both[1], y4);
                memcpy(at_x + to, both[0], (size_t)rest * sizeof(float));
                memcpy(at_y + to, both[1], (size_t)rest * sizeof(float));
            }
        }
    }
}

/* What `bounded` does: NaN becomes `low`. */
static inline float32x4_t bounded4(float32x4_t value, float low, float high) {
    const float32x4_t least = vdupq_n_f32(low);
    return vminq_f32(vbslq_f32(vcgtq_f32(value, least), value, least), vdupq_n_f32(high));
}

/* Two texels side by side, of two px, at `place` from `base`: the left ones of both px, then the right ones. */
static inline uint8x8x2_t load_pair(const uint8_t *base, const int32_t *place) {
    const uint32x2_t one = vreinterpret_u32_u8(vld1_u8(base + place[0]));
    const uint32x2_t other = vreinterpret_u32_u8(vld1_u8(base + place[1]));
    return (uint8x8x2_t){{vreinterpret_u8_u32(vzip1_u32(one, other)), vreinterpret_u8_u32(vzip2_u32(one, other))}};
}

static inline void sample8(const Texture *t, const float *at_x, const float *at_y, Eight *out) {
    int32_t places[8];
    uint16x4_t steps[2];
    int16x4_t shares[2];
    for (int half = 0; half < 2; half++) {
        const float32x4_t one = vdupq_n_f32(1.0f);
        const float32x4_t x = vaddq_f32(bounded4(vld1q_f32(at_x + 4 * half), -1.0f, (float)t->width), one);
        const float32x4_t y = vaddq_f32(bounded4(vld1q_f32(at_y + 4 * half), -1.0f, (float)t->height), one);
        const int32x4_t ix = vcvtq_s32_f32(x), iy = vcvtq_s32_f32(y);
        const float32x4_t across = vsubq_f32(x, vcvtq_f32_s32(ix)), down = vsubq_f32(y, vcvtq_f32_s32(iy));
        const float32x4_t fx = vaddq_f32(vmulq_n_f32(across, (float)ONE), vdupq_n_f32(0.5f));
        steps[half] = vmovn_u32(vcvtq_u32_f32(fx));
        shares[half] = vmovn_s32(vcvtq_s32_f32(vmulq_n_f32(down, 32767.0f)));
        vst1q_s32(places + 4 * half, vmlaq_n_s32(vshlq_n_s32(ix, 2), iy, t->stride));
    }
    const uint8x8_t right8 = vmovn_u16(vcombine_u16(steps[0], steps[1])), left8 = vsub_u8(vdup_n_u8(ONE), right8);
    const uint8x16_t share8 = vreinterpretq_u8_s16(vcombine_s16(shares[0], shares[1]));
    const uint8_t *top = t->texels - t->stride - 4, *bottom = t->texels - 4;
    uint8x8_t texel = vreinterpret_u8_u32(vset_lane_u32(0x01010101, vdup_n_u32(0), 1)); /* 0 0 0 0 1 1 1 1 */
    uint8x16_t number = vreinterpretq_u8_u16(vcombine_u16(vdup_n_u16(0x0100), vdup_n_u16(0x0302))); /* 0 1 …, 2 3 … */
    for (int k = 0; k < 4; k++) {
        const uint8x8_t left = vtbl1_u8(left8, texel), right = vtbl1_u8(right8, texel);
        const int16x8_t share = vreinterpretq_s16_u8(vqtbl1q_u8(share8, number));
        const uint8x8x2_t above = load_pair(top, places + 2 * k), below = load_pair(bottom, places + 2 * k);
        const uint16x8_t a = vmlal_u8(vmull_u8(above.val[0], left), above.val[1], right);
        const uint16x8_t b = vmlal_u8(vmull_u8(below.val[0], left), below.val[1], right);
        const int16x8_t apart = vreinterpretq_s16_u16(vsubq_u16(b, a));
        out->pair[k] = vaddq_u16(a, vreinterpretq_u16_s16(vqrdmulhq_s16(apart, share)));
        texel = vadd_u8(texel, vdup_n_u8(2));
        number = vaddq_u8(number, vdupq_n_u8(4));
    }
}

static inline void mix8(const Eight *above, const int32_t shares[8], Eight *below) {
    for (int k = 0; k < 4; k++) {
        const int16x4_t one = vdup_n_s16((int16_t)shares[2 * k]), other = vdup_n_s16((int16_t)shares[2 * k + 1]);
        const int16x8_t share = vcombine_s16(one, other);
        const int16x8_t apart = vreinterpretq_s16_u16(vsubq_u16(below->pair[k], above->pair[k]));
        const uint16x8_t both = vaddq_u16(above->pair[k], vreinterpretq_u16_s16(vqrdmulhq_s16(apart, share)));
        below->pair[k] = vbslq_u16(vceqq_s16(share, vdupq_n_s16(FULL)), below->pair[k], both);
    }
}

/* Eight px as eight texels of four bytes: four in each half. */
static inline uint8x16x2_t packed8(const Eight *seen) {
    uint8x8_t pairs[4];
    for (int k = 0; k < 4; k++) pairs[k] = vrshrn_n_u16(seen->pair[k], FRACTION_BITS);
    return (uint8x16x2_t){{vcombine_u8(pairs[0], pairs[1]), vcombine_u8(pairs[2], pairs[3])}};
}

static inline void store_texels8(uint8_t *to, const Eight *seen) {
    const uint8x16x2_t px = packed8(seen);
    vst1q_u8(to, px.val[0]);
    vst1q_u8(to + 16, px.val[1]);
}

static inline uint8x8_t transparency8(uint8x16x2_t px) {
    const uint8x8_t last = {3, 7, 11, 15, 19, 23, 27, 31};
    return vqtbl2_u8(px, last);
}

static inline void store_transparency8(uint8_t *to, const Eight *seen) { vst1_u8(to, transparency8(packed8(seen))); }

/* What `composite` does, for eight bytes. */
static inline uint8x8_t composite8(uint8x8_t person, uint8x8_t transparency, uint8x8_t still) {
    const uint16x8_t product = vmlal_u8(vdupq_n_u16(128), still, transparency);
    return vqadd_u8(person, vshrn_n_u16(vsraq_n_u16(product, product, 8), 8));
}

static inline void composite_luma8(const Eight *seen, const uint8_t *still, uint8_t *out) {
    const uint8x16x2_t px = packed8(seen);
    const uint8x8_t first = {0, 4, 8, 12, 16, 20, 24, 28};
    vst1_u8(out, composite8(vqtbl2_u8(px, first), transparency8(px), vld1_u8(still)));
}

static inline void composite_chroma4(
    const Eight *upper, const Eight *lower, const uint8_t *const still[2], uint8_t *const out[2]) {
    uint16x4_t means[4];
    for (int k = 0; k < 4; k++) {
        const uint16x8_t down = vrhaddq_u16(upper->pair[k], lower->pair[k]);
        means[k] = vrhadd_u16(vget_low_u16(down), vget_high_u16(down));
    }
    const uint8x16_t px = vcombine_u8(
        vrshrn_n_u16(vcombine_u16(means[0], means[1]), FRACTION_BITS),
        vrshrn_n_u16(vcombine_u16(means[2], means[3]), FRACTION_BITS));
    const uint8x8_t colours = {1, 5, 9, 13, 2, 6, 10, 14}, last = {3, 7, 11, 15, 3, 7, 11, 15};
    uint8_t behind[8], drawn[8];
    memcpy(behind, still[0], 4);
    memcpy(behind + 4, still[1], 4);
    vst1_u8(drawn, composite8(vqtbl1_u8(px, colours), vqtbl1_u8(px, last), vld1_u8(behind)));
    memcpy(out[0], drawn, 4);
    memcpy(out[1], drawn + 4, 4);
}

#endif
