/* The structs that Python fills. engine/native/__init__.py mirrors each of them. layout.c reports their layout in
 * memory, and Python compares the two when it loads the library.
 */
#ifndef VISAVIS_STRUCTS_H
#define VISAVIS_STRUCTS_H

#include <stdint.h>

/* One pair (x, y) at every node of a grid. Node (i, j) is at x = i * cell + (cell - 1) / 2 px, and the same for y. */
typedef struct {
    const float *nodes; /* rows of `across` pairs */
    int32_t across;
    int32_t cell;
} Grid;

/* Texels of premultiplied Y, U, V and transparency. A border of two texels lies around the texture and belongs to the
 * array; places further out are looked up in the border. */
typedef struct {
    const uint8_t *texels; /* texel (0, 0), within the border */
    int32_t stride;        /* bytes, below 32768 */
    int32_t width, height;
} Texture;

/* A strip: a box of the picture. left and top are px from the beginning of the grid; left, top, width and height are
 * even. */
typedef struct {
    int32_t left, top, width, height;
    /* for each pair of rows: the first px and the end of the px in which the person may show, from the left of the
     * strip; even, equal or at least 8 apart */
    const int32_t *spans;
    const uint8_t *still[3]; /* the still picture: planes Y, U, V at the corner of the strip */
    uint8_t *out[3];         /* the planes of the picture that is drawn */
    int32_t stride[3];       /* bytes per row of both pictures */
    int32_t matte_stride;
    uint8_t *matte; /* luma of the matte, 16 (nobody) to 235, or NULL */
    /* the places of the nodes first_row to last_row, first_column to last_column when the strip was last drawn */
    float *drawn;
    int32_t first_row, last_row, first_column, last_column;
    int32_t is_drawn;
} Strip;

/* The box of the mouth in the picture, px from the beginning of the mouth's grid; width at least 8. */
typedef struct {
    int32_t left, top, width, height;
    const float *middle; /* for every column: the line between the lips, px from `top` */
    float steepness;     /* how fast the lower lip replaces the upper one at that line, 1 / px */
    uint8_t *pixels;     /* output: Y, U, V, transparency; rows of 4 * width bytes */
} Lips;

/* A small picture with its own opacity: premultiplied Y, U, V, opacity, at least 2 x 2 px. The rim of every patch but
 * the first is fully transparent. The patch is turned by the roll of the head. */
typedef struct {
    const float *yuva;
    int32_t width, height;
    float x, y;  /* the place of its px (0, 0) in the box */
    float light; /* a factor for its luma */
} Patch;

/* The opening between the lips and the box around it, px of `pixels`. Arrays have one value per column of the box;
 * heights are px from its top. */
typedef struct {
    uint8_t *pixels; /* Y, U, V, transparency, of both lips; the inside of the mouth is drawn over them */
    int32_t pixels_width, pixels_height;
    int32_t left, top, width, height;
    int32_t lit_rows_below; /* the edge of the lower lip takes the colour that lies this many rows below it */
    const float *upper, *lower;               /* the edges of the lips */
    const float *cosine_upper, *cosine_lower; /* the cosines of their slopes */
    const float *recoloured, *inner; /* px of the lower lip that are recoloured; px of the inner sides of the lips */
    const float *light;              /* 0 to 1, without the shadow of the upper lip */
    float *shadow;                   /* of the upper lip in the first row below it, 0 to 1; is overwritten */
    float shadow_depth, shadow_decay; /* how dark it is, and the factor by which it fades from row to row */
    float edge_steepness, inner_steepness; /* how fast the edges of opening and inner lips go from 0 to 1, 1 / px */
    float lip_upper[4], lip_lower[4];      /* the inner sides of the lips: Y, U, V and their opacity */
    float roll_cosine, roll_sine;          /* of the roll of the head */
    const Patch *patches; /* from the back to the front; the first one covers everything behind it */
    int32_t patch_count;
} Opening;

#endif
