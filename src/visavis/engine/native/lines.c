/* The lines of the lips. A line crosses the mouth from its left corner to its right one: pairs (x, y), px of the
 * picture. Here is where the lines run in a frame, how high they are in a column, and which layer shows at a node. */
#include "lookup.h"

#include <math.h>

/* Follows a line to the right. Where the line goes back to the left, x stays. */
typedef struct {
    const float *line;
    int32_t points, at; /* the point at or before the last x */
    float x, next_x;    /* of that point, and of the one after it */
} Follower;

static inline float larger(float a, float b) { return a > b ? a : b; }

static Follower follow(const float *line, int32_t points) {
    return (Follower){line, points, 0, line[0], larger(line[0], line[2])};
}

/* The height of the line at `x`, below `top`. Beside its corners a line goes on level. `x` never decreases. */
static double height_at(Follower *f, float x, float top) {
    while (f->at + 1 < f->points && f->next_x <= x) {
        f->at++;
        f->x = f->next_x;
        if (f->at + 1 < f->points) f->next_x = larger(f->x, f->line[2 * f->at + 2]);
    }
    const double height = f->line[2 * f->at + 1] - top;
    if (f->at + 1 == f->points || x <= f->x) return height;
    const double next = f->line[2 * f->at + 3] - top;
    return (next - height) / ((double)f->next_x - f->x) * ((double)x - f->x) + height;
}

/* Pose the lines of the lips: upper = rest + weights x upper_fields (rows, 2 * points), lower = upper + weights x
 * jump_fields, but never above the upper one, and middle between the two. `extent`: left, top, right and bottom of
 * both, then left, top and right of the upper one, and bottom of the lower one. Return how far they are apart at most;
 * below 0 if they overlap everywhere. */
API float visavis_pose_lips(
    const float *rest, const float *upper_fields, const float *jump_fields, int32_t rows, int32_t points,
    const float *weights, float *upper, float *lower, float *middle, float *extent) {
    visavis_weighted_sum(weights, upper_fields, rows, 2 * points, upper, 0, 1);
    visavis_weighted_sum(weights, jump_fields, rows, 2 * points, lower, 0, 1);
    float gap = -INFINITY;
    for (int c = 0; c < 8; c++) extent[c] = c % 4 < 2 ? INFINITY : -INFINITY;
    for (int32_t k = 0; k < 2 * points; k += 2) {
        for (int c = 0; c < 2; c++) {
            upper[k + c] += rest[k + c];
            lower[k + c] += upper[k + c];
        }
        const float open_by = lower[k + 1] - upper[k + 1];
        gap = larger(gap, open_by);
        for (int c = 0; c < 2; c++) {
            middle[k + c] = open_by > 0 ? (upper[k + c] + lower[k + c]) / 2 : upper[k + c];
            if (!(open_by > 0)) lower[k + c] = upper[k + c];
            extent[c] = fminf(extent[c], fminf(upper[k + c], lower[k + c]));
            extent[2 + c] = fmaxf(extent[2 + c], fmaxf(upper[k + c], lower[k + c]));
            extent[4 + c] = fminf(extent[4 + c], upper[k + c]);
        }
        extent[6] = fmaxf(extent[6], upper[k]);
        extent[7] = fmaxf(extent[7], lower[k + 1]);
    }
    return gap;
}

/* Write the height of a line in `width` columns from px `left` on, px below `top`. */
API void visavis_line_heights(
    const float *line, int32_t points, int32_t left, int32_t top, int32_t width, float *heights) {
    Follower follower = follow(line, points);
    for (int32_t x = 0; x < width; x++)
        heights[x] = (float)height_at(&follower, (float)(left + x), (float)top);
}

/* Put the lower layer of a mouth into `both` (rows of `both_across` pairs) wherever a node lies below a line. `nodes`:
 * their positions, px of the picture, across x down pairs, as `lower`. */
API void visavis_join_layers(
    const float *nodes, int32_t across, int32_t down, const float *line, int32_t points, const float *lower,
    float *both, int32_t both_across) {
    Follower follower = follow(line, points);
    for (int32_t i = 0; i < across; i++) {
        const double height = height_at(&follower, nodes[2 * i], 0.0f);
        for (int32_t j = 0; j < down; j++) {
            const int64_t node = 2 * ((int64_t)j * across + i);
            if (nodes[node + 1] > height) memcpy(both + 2 * ((int64_t)j * both_across + i), lower + node, 8);
        }
    }
}

/* Write what follows in each column from the edges of an opening: the cosines of their slopes, how far the lips are
 * recoloured and their inner sides show, the light, and the shadow in the first row below the upper lip. */
API void visavis_shade_columns(const Opening *o, const Shading *s) {
    float *const cosines[2] = {o->cosine_upper, o->cosine_lower};
    const float *const edges[2] = {o->upper, o->lower};
    for (int32_t x = 0; x < o->width; x++) {
        for (int k = 0; k < 2; k++) { /* over two columns */
            const float fall = x > 0 && x + 1 < o->width ? edges[k][x + 1] - edges[k][x - 1] : 0.0f;
            const float slope = fminf(0.25f * fall * fall, s->steepest * s->steepest);
            cosines[k][x] = 1.0f / sqrtf(1.0f + slope);
        }
        const float upper = o->upper[x], gap = o->lower[x] - upper;
        o->recoloured[x] = bounded((gap - s->line_kept) * s->recoloured_share, 0.0f, s->recoloured_most);
        o->inner[x] = bounded(gap * s->inner_share, 0.0f, s->inner_most);
        const double aside = fabsf((s->left + (float)x - s->centre) / s->half_width);
        const float across = 1.0f - s->corner_dark * (float)pow(aside, s->corner_flatness);
        o->light[x] = bounded(across, s->corner_light_least, 1.0f) * s->light;
        const float below = fmaxf(floorf(upper) + 1.0f, 0.0f) - upper;
        o->shadow[x] = (float)exp(-below / s->shadow_length);
    }
}
