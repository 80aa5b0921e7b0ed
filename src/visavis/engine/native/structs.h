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
    float *upper, *lower;               /* the edges of the lips */
    float *cosine_upper, *cosine_lower; /* the cosines of their slopes */
    float *recoloured, *inner;          /* px of the lower lip that are recoloured; px of the inner sides of the lips */
    float *light;                       /* 0 to 1, without the shadow of the upper lip */
    float *shadow; /* of the upper lip in the first row below it, 0 to 1; is overwritten */
    float shadow_depth, shadow_decay; /* how dark it is, and the factor by which it fades from row to row */
    float edge_steepness, inner_steepness; /* how fast the edges of opening and inner lips go from 0 to 1, 1 / px */
    float lip_upper[4], lip_lower[4];      /* the inner sides of the lips: Y, U, V and their opacity */
    float roll_cosine, roll_sine;          /* of the roll of the head */
    const Patch *patches; /* from the back to the front; the first one covers everything behind it */
    int32_t patch_count;
} Opening;

/* How the columns of an opening follow from its edges. Lengths are px. */
typedef struct {
    float left;      /* px of the picture: the first column */
    float steepest;  /* rows per column: an edge steeper than this is softened no further */
    float line_kept; /* a line between closed lips is recoloured where they are further apart, by a share of the rest */
    float recoloured_share, recoloured_most;
    float inner_share, inner_most; /* the inner sides of the lips show by a share of the gap, up to a bound */
    float centre, half_width;      /* of the mouth: the light falls off from the centre to the corners */
    float corner_dark, corner_flatness, corner_light_least;
    float light;         /* in the whole mouth, 0 to 1 */
    float shadow_length; /* px below the upper lip in which its shadow falls to 1 / e */
} Shading;

/* The displacement fields of a frame, and the places in the texture that they give. Nodes are pairs; those of the mouth
 * are a part of the grid, in rows of their own. */
typedef struct {
    int32_t across, down, cell; /* of the grid */
    int32_t mouth_left, mouth_top, mouth_across, mouth_down; /* the mouth's part, in nodes */
    int32_t face_rows, mouth_rows;                           /* how many fields */
    const float *face_fields, *mouth_fields, *jump_fields;   /* one row each */
    const float *at_rest, *mouth_at_rest; /* the places at rest, texture px */
    float zoom;                           /* texture px per px of the fields */
    float *field, *mouth_field, *work;    /* scratch memory; `work` as of visavis_invert */
    float *upper, *lower;                 /* the places of the upper layer, and of the lower layer of the mouth */
    float *both;                          /* the places of what shows: begins as a copy of `upper` */
} Sources;

/* The gaze of one eye. Pictures are height x width texels; `shown` and `weight` cover the eyeball's part alone. */
typedef struct {
    int32_t width, height;
    const uint8_t *open, *behind;     /* the open eye, and the eye as if it had no lids */
    int32_t left, top, across, down;  /* the part of the eyeball */
    const float *shown;               /* where the eyeball shows between the lids, 0 to 1 */
    const float *weight;              /* how far it moves with the gaze: the iris all the way, the corners not at all */
} Gaze;

/* The lids of one eye. Pictures and maps are height x width, all else has one number per column; heights and lengths
 * are px. */
typedef struct {
    int32_t width, height;
    const uint8_t *open, *lid_skin, *look; /* the open eye, the skin of the upper lid, what is between */
    /* the heights from which the skin of the upper lid comes: `upper_share` between two maps; the same for the lower */
    const float *upper_first, *upper_second, *lower_first, *lower_second;
    const float *rim_fade; /* 0 at the rim, where the open eye stays, to 1 */
    const float *lid, *drop, *lift; /* the edge of the upper lid, and how far it drops and lifts at most */
    const float *rim, *rise;        /* the same of the lower lid */
    const float *lash_strength;     /* 0 to 1 */
    float upper_share, lower_share;
    float dropped, raised, risen; /* shares of the way of each lid */
    float overlap;                /* px by which shut lids overlap */
    float per_lash;               /* 1 / the width of the lashes */
    float lash_share;             /* how much of the lashes shows */
    uint8_t lash[4];              /* their texel */
} Lids;

#endif
