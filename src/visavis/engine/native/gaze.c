/* Turns the gaze of an eye: the eyeball moves behind the lids of the photo. */
#include "lookup.h"

#define STEPS_PER_PX 32 /* the places from which the eyeball comes are rounded to this part of a px */

/* Round a place to steps, held within 0 to `last` px. */
static inline int32_t in_steps(float place, int32_t last) {
    return (int32_t)((bounded(place, 0.0f, (float)last) * (float)STEPS_PER_PX + 12582912.0f) - 12582912.0f);
}

/* Write the eye into `texels`, rows `stride` bytes apart: the open eye, and the eyeball where it shows, moved by
 * (move_x, move_y) times its weight. */
API void visavis_turn_eye(const Gaze *g, float move_x, float move_y, uint8_t *texels, int32_t stride) {
    const int32_t bytes = 4 * g->width;
    for (int32_t row = 0; row < g->height; row++)
        memcpy(texels + (int64_t)row * stride, g->open + (int64_t)row * bytes, (size_t)bytes);
    for (int32_t j = 0; j < g->down; j++)
        for (int32_t i = 0; i < g->across; i++) {
            const int64_t px = (int64_t)j * g->across + i;
            const float shown = g->shown[px], weight = g->weight[px];
            if (shown <= 0.0f) continue;
            const int32_t x = in_steps((float)(g->left + i) - move_x * weight, g->width - 1);
            const int32_t y = in_steps((float)(g->top + j) - move_y * weight, g->height - 1);
            const int32_t fx = x % STEPS_PER_PX, fy = y % STEPS_PER_PX;
            const uint8_t *upper = g->behind + (int64_t)(y / STEPS_PER_PX) * bytes + 4 * (x / STEPS_PER_PX);
            const uint8_t *lower = fy ? upper + bytes : upper;
            const int32_t next = fx ? 4 : 0; /* no look-up beyond the last column or row */
            uint8_t *to = texels + (int64_t)(g->top + j) * stride + 4 * (g->left + i);
            for (int c = 0; c < 4; c++) {
                const int32_t above = upper[c] * (STEPS_PER_PX - fx) + upper[c + next] * fx;
                const int32_t below = lower[c] * (STEPS_PER_PX - fx) + lower[c + next] * fx;
                const int32_t moved = (above * (STEPS_PER_PX - fy) + below * fy + 512) >> 10;
                to[c] = (uint8_t)((float)moved * shown + (float)to[c] * (1.0f - shown) + 0.5f);
            }
        }
}
