/* Paints folds: the luma of a part of the texture, changed by maps of which each frame takes another share. */
#include "lookup.h"

#define ROW 256 /* px that are summed at once */

/* Round to the nearest whole number, as CVTPS2DQ does; for numbers below 2^22. */
static inline float nearest(float value) { return (value + 12582912.0f) - 12582912.0f; }

/* texels (luma only) = luma + the sum of depths x changes. `luma` and each of the `count` maps in `changes` are height
 * x width; `texels`: the first one of the part, rows `stride` bytes apart. `spans`: for each row, the first px and the
 * end of the px that may change. Maps of depth 0 cost nothing. */
API void visavis_paint_folds(
    const float *luma, const float *const *changes, const float *depths, const int32_t *spans, int32_t count,
    int32_t width, int32_t height, uint8_t *texels, int32_t stride) {
    float sums[ROW];
    for (int32_t row = 0; row < height; row++)
        for (int32_t begin = spans[2 * row]; begin < spans[2 * row + 1]; begin += ROW) {
            const int32_t left = spans[2 * row + 1] - begin, n = left < ROW ? left : ROW;
            const int64_t from = (int64_t)row * width + begin;
            memcpy(sums, luma + from, (size_t)n * sizeof(float));
            for (int32_t k = 0; k < count; k++) {
                const float depth = depths[k], *change = changes[k] + from;
                if (depth == 0.0f) continue;
                for (int32_t x = 0; x < n; x++) sums[x] += depth * change[x];
            }
            uint8_t *px = texels + (int64_t)row * stride + 4 * (int64_t)begin;
            for (int32_t x = 0; x < n; x++) px[4 * x] = (uint8_t)nearest(bounded(sums[x], 0.0f, 255.0f));
        }
}
