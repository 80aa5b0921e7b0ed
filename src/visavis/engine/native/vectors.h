/* Look-up and drawing of eight px at once. Each processor has vectors of its own; what they give is the same, and the
 * same as what portable C gives:
 *
 *     Eight                     eight px, as `sample` gives one: Y, U, V and transparency with FRACTION_BITS
 *     has_vectors               whether this machine has them; without, no function may be called
 *     interpolate_row_vectors   what interpolate_row_c does
 *     sample8                   look up eight places, as `sample` does
 *     mix8                      below = above + (below - above) * share, as `mix` does; a share of FULL leaves it alone
 *     store_texels8             round to whole levels, and write eight texels
 *     store_transparency8       the same of the transparency alone: eight bytes
 *     composite_luma8           composite eight px over those of a still picture, as `composite` does
 *     composite_chroma4         the same for the chroma of eight px in two rows: four bytes of U and of V
 *
 * VECTORS stands before every function that calls these. NO_VECTORS is defined where a machine has none.
 */
#ifndef VISAVIS_VECTORS_H
#define VISAVIS_VECTORS_H

#include "lookup.h"

#if defined(__x86_64__)
#include "avx2.h"
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include "neon.h"
#else
#define NO_VECTORS
static inline int has_vectors(void) { return 0; }
#endif

/* Interpolate a row of places, with vectors if `vectors`. */
static inline void interpolate_row(
    const Grid *grid, int left, int y, int width, float *line, float *at_x, float *at_y, int vectors) {
#ifndef NO_VECTORS
    if (vectors) {
        interpolate_row_vectors(grid, left, y, width, line, at_x, at_y);
        return;
    }
#else
    (void)vectors;
#endif
    interpolate_row_c(grid, left, y, width, line, at_x, at_y);
}

#endif
