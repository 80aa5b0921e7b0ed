/* The structs that Python fills. engine/native/__init__.py mirrors each of them; layout.c tells it how they lie in
 * memory, and it compares the two when the library is loaded.
 */
#ifndef VISAVIS_STRUCTS_H
#define VISAVIS_STRUCTS_H

#include <stdint.h>

/* Pairs (x, y) at the nodes of a grid: node (i, j) stands at i * cell + (cell - 1) / 2 px, likewise y. */
typedef struct {
    const float *nodes; /* rows of `across` pairs */
    int32_t across;
    int32_t cell;
} Grid;

/* Y, U, V and transparency, premultiplied. A frame of two texels lies around it and belongs to it: places further out
 * are looked up there. */
typedef struct {
    const uint8_t *texels; /* of (0, 0) */
    int32_t stride;        /* bytes, below 32768 */
    int32_t width, height;
} Texture;

/* A box of the picture and what lies there. left, top: px from the beginning of the grid. These, width and height are
 * even. */
typedef struct {
    int32_t left, top, width, height;
    /* for each two rows: from which px to which one the person may show; even, and 0 or at least 8 apart */
    const int32_t *spans;
    const uint8_t *still[3]; /* Y, U, V of what stands still */
    uint8_t *out[3];
    int32_t stride[3];
    int32_t matte_stride;
    uint8_t *matte; /* 16 (nobody) to 235, or none */
    /* the places of its nodes when it was drawn last: rows first_row to last_row, first_column to last_column */
    float *drawn;
    int32_t first_row, last_row, first_column, last_column;
    int32_t is_drawn;
} Strip;

/* A box in the picture, px from the beginning of the mouth's grid; width at least 8. */
typedef struct {
    int32_t left, top, width, height;
    const float *middle; /* of every column: the line between the lips, px from `top` */
    float steepness;     /* how much more of the lower lip is seen a px further down */
    uint8_t *face;       /* Y, U, V, transparency: what is drawn; rows of 4 * width bytes */
} Lips;

/* A picture with its own transparency: Y, U, V, opacity, premultiplied, at least 2 x 2, its rim clear unless it is the
 * ground. A px (x, y) of the box shows the place of the patch that a turn by the head's roll brings there. */
typedef struct {
    const float *yuva;
    int32_t width, height;
    float x, y;  /* of its (0, 0) in the box */
    float light; /* by which its luma is multiplied */
} Patch;

/* The box about the opening, px of the face; lines are px from its top. */
typedef struct {
    uint8_t *face; /* Y, U, V, transparency */
    int32_t face_width, face_height;
    int32_t left, top, width, height;
    int32_t fresh_rows;                       /* how far below the edge of the lower lip it looks as its edge shall */
    const float *upper, *lower;               /* of every column: the edges of the lips */
    const float *across_upper, *across_lower; /* how long a px across the edge is for one down it */
    const float *fresh, *rolled;              /* how far the edge is made fresh, and rolls inwards, px */
    const float *light;               /* how much there is, 0 to 1, but for the shadow of the upper lip */
    float *shadow;                    /* of the upper lip on the first row below it, 0 to 1; is written over */
    float shadow_depth, shadow_fall;  /* how dark it is, and what a row further down leaves of it */
    float edge, soft_edge;            /* how steep the edges of opening and of lips are: 1 / px */
    float lip_upper[4], lip_lower[4]; /* Y, U, V and how much of it is seen */
    float cosine, sine;               /* of the head's roll */
    const Patch *patches;             /* from the back to the front; the first one is the ground, and has no rim */
    int32_t patch_count;
} Opening;

#endif
