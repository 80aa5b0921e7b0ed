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
