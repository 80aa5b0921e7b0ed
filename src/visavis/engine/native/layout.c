/* Reports the layout in memory of the structs that Python fills. */
#include "lookup.h"

#include <stddef.h>

#define WHOLE(type) {#type, 0, (int32_t)sizeof(type)}
#define AT(type, field) {#type "." #field, (int32_t)offsetof(type, field), (int32_t)sizeof(((type *)0)->field)}

static const struct {
    const char *name;
    int32_t offset, size; /* bytes */
} LAYOUT[] = {
    WHOLE(Grid), AT(Grid, nodes), AT(Grid, across), AT(Grid, cell),
    WHOLE(Texture), AT(Texture, texels), AT(Texture, stride), AT(Texture, width), AT(Texture, height),
    WHOLE(Strip), AT(Strip, left), AT(Strip, top), AT(Strip, width), AT(Strip, height), AT(Strip, spans),
    AT(Strip, still), AT(Strip, out), AT(Strip, stride), AT(Strip, matte_stride), AT(Strip, matte), AT(Strip, drawn),
    AT(Strip, first_row), AT(Strip, last_row), AT(Strip, first_column), AT(Strip, last_column), AT(Strip, is_drawn),
    WHOLE(Lips), AT(Lips, left), AT(Lips, top), AT(Lips, width), AT(Lips, height), AT(Lips, middle),
    AT(Lips, steepness), AT(Lips, pixels),
    WHOLE(Patch), AT(Patch, yuva), AT(Patch, width), AT(Patch, height), AT(Patch, x), AT(Patch, y), AT(Patch, light),
    WHOLE(Opening), AT(Opening, pixels), AT(Opening, pixels_width), AT(Opening, pixels_height), AT(Opening, left),
    AT(Opening, top), AT(Opening, width), AT(Opening, height), AT(Opening, lit_rows_below), AT(Opening, upper),
    AT(Opening, lower), AT(Opening, cosine_upper), AT(Opening, cosine_lower), AT(Opening, recoloured),
    AT(Opening, inner), AT(Opening, light), AT(Opening, shadow), AT(Opening, shadow_depth), AT(Opening, shadow_decay),
    AT(Opening, edge_steepness), AT(Opening, inner_steepness), AT(Opening, lip_upper), AT(Opening, lip_lower),
    AT(Opening, roll_cosine), AT(Opening, roll_sine), AT(Opening, patches), AT(Opening, patch_count),
    WHOLE(Shading), AT(Shading, left), AT(Shading, steepest), AT(Shading, line_kept), AT(Shading, recoloured_share),
    AT(Shading, recoloured_most), AT(Shading, inner_share), AT(Shading, inner_most), AT(Shading, centre),
    AT(Shading, half_width), AT(Shading, corner_dark), AT(Shading, corner_flatness), AT(Shading, corner_light_least),
    AT(Shading, light), AT(Shading, shadow_length),
    WHOLE(Sources), AT(Sources, across), AT(Sources, down), AT(Sources, cell), AT(Sources, mouth_left),
    AT(Sources, mouth_top), AT(Sources, mouth_across), AT(Sources, mouth_down), AT(Sources, face_rows),
    AT(Sources, mouth_rows), AT(Sources, face_fields), AT(Sources, mouth_fields), AT(Sources, jump_fields),
    AT(Sources, at_rest), AT(Sources, mouth_at_rest), AT(Sources, zoom), AT(Sources, field), AT(Sources, mouth_field),
    AT(Sources, work), AT(Sources, upper), AT(Sources, lower), AT(Sources, both),
    WHOLE(Gaze), AT(Gaze, width), AT(Gaze, height), AT(Gaze, open), AT(Gaze, behind), AT(Gaze, left), AT(Gaze, top),
    AT(Gaze, across), AT(Gaze, down), AT(Gaze, shown), AT(Gaze, weight),
    WHOLE(Lids), AT(Lids, width), AT(Lids, height), AT(Lids, open), AT(Lids, lid_skin), AT(Lids, look),
    AT(Lids, upper_first), AT(Lids, upper_second), AT(Lids, lower_first), AT(Lids, lower_second), AT(Lids, rim_fade),
    AT(Lids, lid), AT(Lids, drop), AT(Lids, lift), AT(Lids, rim), AT(Lids, rise), AT(Lids, lash_strength),
    AT(Lids, upper_share), AT(Lids, lower_share), AT(Lids, dropped), AT(Lids, raised),
    AT(Lids, risen), AT(Lids, overlap), AT(Lids, per_lash), AT(Lids, lash_share), AT(Lids, lash),
};

/* Write the size of a struct ("Grid") or of one of its fields ("Grid.nodes") into `size`, bytes, and return the offset
 * within the struct; -1 for any other name. */
API int32_t visavis_layout(const char *name, int32_t *size) {
    for (size_t k = 0; k < sizeof LAYOUT / sizeof *LAYOUT; k++) {
        if (strcmp(name, LAYOUT[k].name) != 0) continue;
        *size = LAYOUT[k].size;
        return LAYOUT[k].offset;
    }
    return -1;
}
