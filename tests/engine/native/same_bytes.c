/* Calls every kernel with made-up input and prints a digest of all that it wrote, to compare machines: same_bytes.txt
 * has what each line has to be, with vectors and without.
 *
 *     same_bytes KERNELS [--portable] [NAME TIMES]    such as: same_bytes kernels.so draw_strips 100, to measure one
 */
#include "../../../src/visavis/engine/native/structs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#define OPEN(path) ((void *)LoadLibraryA(path))
#define FIND(library, name) ((void *)GetProcAddress((HMODULE)(library), name))
#else
#include <dlfcn.h>
#define OPEN(path) dlopen(path, RTLD_NOW)
#define FIND(library, name) dlsym(library, name)
#endif

#define KERNEL(result, name, ...) \
    typedef result name##_call(__VA_ARGS__); \
    static name##_call *name
#define LENGTH(array) ((int32_t)(sizeof(array) / sizeof *(array)))

KERNEL(int32_t, draw_strips, Strip *, int32_t, const Grid *, const Texture *, float, const int32_t *, int32_t, float *,
    int32_t);
KERNEL(void, draw_lips, const Lips *, const Grid *, const Grid *, const Texture *, float *, int32_t);
KERNEL(void, draw_opening, const Opening *);
KERNEL(void, write_planes, const uint8_t *, int32_t, int32_t, int32_t, uint8_t *const[3], const int32_t[3]);
KERNEL(void, find_sources, const Sources *, const float *, const float *, int32_t, int32_t, int32_t, int32_t, int32_t);
KERNEL(float, pose_lips, const float *, const float *, const float *, int32_t, int32_t, const float *, float *, float *,
    float *, float *);
KERNEL(void, line_heights, const float *, int32_t, int32_t, int32_t, int32_t, float *);
KERNEL(void, join_layers, const float *, int32_t, int32_t, const float *, int32_t, const float *, float *, int32_t);
KERNEL(void, shade_columns, const Opening *, const Shading *);
KERNEL(void, turn_eye, const Gaze *, float, float, uint8_t *, int32_t);
KERNEL(void, paint_lids, const Lids *, uint8_t *, int32_t);
KERNEL(void, paint_folds, const float *, const float *const *, const float *, const int32_t *, int32_t, int32_t,
    int32_t, uint8_t *, int32_t);

static int32_t portable;
static uint32_t state;
static uint64_t digest;

static uint32_t any(void) {
    state = state * 1664525u + 1013904223u; /* Numerical Recipes */
    return state >> 8;
}

/* Sums and products of numbers that all machines have. */
static float between(float low, float high) { return low + (high - low) * ((float)(any() & 0xffff) / 65536.0f); }

static void fill_bytes(uint8_t *to, size_t count) {
    for (size_t k = 0; k < count; k++) to[k] = (uint8_t)any();
}

static void fill(float *to, size_t count, float low, float high) {
    for (size_t k = 0; k < count; k++) to[k] = between(low, high);
}

static void add(const void *from, size_t size) { /* FNV-1a */
    for (size_t k = 0; k < size; k++) digest = (digest ^ ((const uint8_t *)from)[k]) * 0x100000001b3u;
}
#define ADD(array) add(array, sizeof(array))

enum { WIDE = 150, HIGH = 130, BORDER = 2, STRIDE = 4 * (WIDE + 2 * BORDER), BOX = 170, TALL = 70 };
enum { NODES = 90, SCRATCH = 6 * (BOX + 2 * (16 + 24)) };

/* A person with every degree of transparency. */
static Texture person(void) {
    static uint8_t texels[STRIDE * (HIGH + 2 * BORDER)];
    for (size_t k = 0; k < sizeof texels; k += 4) {
        const int clear = (int)(any() % 3) * 100 + (int)(any() % 56);
        for (int c = 0; c < 3; c++) texels[k + c] = (uint8_t)(any() % (uint32_t)(256 - clear));
        texels[k + 3] = (uint8_t)clear;
    }
    return (Texture){texels + BORDER * STRIDE + BORDER * 4, STRIDE, WIDE, HIGH};
}

/* Places in the texture of the nodes of a grid, also a few beyond it. */
static Grid places(float *nodes, int32_t cell) {
    for (int32_t j = 0; j < NODES; j++)
        for (int32_t i = 0; i < NODES; i++) {
            nodes[2 * (j * NODES + i)] = 0.875f * (float)(i * cell) + between(-7, 7);
            nodes[2 * (j * NODES + i) + 1] = 1.75f * (float)(j * cell) + between(-7, 7);
        }
    return (Grid){nodes, NODES, cell};
}

static void call_draw_strips(int32_t times) {
    static float nodes[2 * NODES * NODES], scratch[SCRATCH], drawn[2 * NODES * NODES];
    static uint8_t still[3][BOX * TALL], out[3][BOX * TALL], matte[BOX * TALL];
    static int32_t spans[TALL];
    const int32_t cells[] = {3, 4, 8, 9, 13, 16, 23};
    const Texture texture = person();
    for (int k = 0; k < LENGTH(cells); k++) {
        const Grid grid = places(nodes, cells[k]);
        fill_bytes(still[0], sizeof still);
        Strip strip = {.left = 30, .top = 32, .width = BOX, .height = TALL, .spans = spans, .matte_stride = BOX,
            .matte = k & 1 ? matte : NULL, .drawn = drawn, .last_row = NODES - 1, .last_column = NODES - 1};
        for (int c = 0; c < 3; c++) strip.still[c] = still[c], strip.out[c] = out[c], strip.stride[c] = BOX;
        for (int row = 0; row < TALL; row += 2) {
            spans[row] = (int32_t)(any() % 20) * 2;
            spans[row + 1] = row % 10 == 8 ? spans[row] : spans[row] + 8 + (int32_t)(any() % 61) * 2;
        }
        for (int32_t n = 0; n < times; n++) draw_strips(&strip, 1, &grid, &texture, -1.0f, NULL, 0, scratch, portable);
        ADD(out), ADD(matte);
    }
}

static void call_draw_lips(int32_t times) {
    static float upper[2 * NODES * NODES], lower[2 * NODES * NODES], scratch[SCRATCH], middle[BOX];
    static uint8_t pixels[4 * BOX * TALL];
    const Texture texture = person();
    const Grid over = places(upper, 7), under = places(lower, 7);
    for (int x = 0; x < BOX; x++) middle[x] = 30.0f + between(-3, 3);
    const Lips lips = {21, 14, BOX, TALL, middle, 0.375f, pixels};
    for (int32_t n = 0; n < times; n++) draw_lips(&lips, &over, &under, &texture, scratch, portable);
    ADD(pixels);
}

enum { COLUMNS = 60, ROWS = 40, FACE_WIDE = 70, FACE_HIGH = 54 };
static float columns[8][COLUMNS]; /* of an opening: upper, lower, and what follows from them */

static Opening opening_of(uint8_t *pixels) {
    for (int x = 0; x < COLUMNS; x++) {
        columns[0][x] = 14.0f + between(-2, 2);
        columns[1][x] = x % 7 ? 24.0f + between(-2, 6) : 12.0f;
    }
    return (Opening){.pixels = pixels, .pixels_width = FACE_WIDE, .pixels_height = FACE_HIGH, .left = 5, .top = 6,
        .width = COLUMNS, .height = ROWS, .lit_rows_below = 3, .upper = columns[0], .lower = columns[1],
        .cosine_upper = columns[2], .cosine_lower = columns[3], .recoloured = columns[4], .inner = columns[5],
        .light = columns[6], .shadow = columns[7], .shadow_depth = 0.5f, .shadow_decay = 0.75f,
        .edge_steepness = 0.875f, .inner_steepness = 0.4375f, .lip_upper = {110, 121, 150, 0.75f},
        .lip_lower = {140, 118, 155, 0.625f}, .roll_cosine = 0.96875f, .roll_sine = 0.25f};
}

static const Shading SHADING = {.left = 8, .steepest = 3, .line_kept = 2, .recoloured_share = 0.5f,
    .recoloured_most = 6, .inner_share = 0.25f, .inner_most = 4, .centre = 38, .half_width = 27, .corner_dark = 0.625f,
    .corner_flatness = 2.5f, .corner_light_least = 0.5f, .light = 0.9375f, .shadow_length = 2.5f};

static void call_shade_columns(int32_t times) {
    const Opening opening = opening_of(NULL);
    for (int32_t n = 0; n < times; n++) shade_columns(&opening, &SHADING);
    ADD(columns);
}

static void call_draw_opening(int32_t times) {
    static uint8_t pixels[4 * FACE_WIDE * FACE_HIGH];
    static float ground[4 * 8 * 8], teeth[4 * 40 * 14];
    Opening opening = opening_of(pixels);
    fill(ground, LENGTH(ground), 0, 255);
    fill(teeth, LENGTH(teeth), 0, 200);
    for (size_t k = 3; k < LENGTH(ground); k += 4) ground[k] = 1.0f;
    for (size_t k = 3; k < LENGTH(teeth); k += 4) teeth[k] = between(0, 1);
    Patch patches[] = {{ground, 8, 8, 0, 0, 1.0f}, {teeth, 40, 14, 11.25f, 9.5f, 0.875f}};
    opening.patches = patches;
    opening.patch_count = LENGTH(patches);
    for (int32_t n = 0; n < times; n++) {
        fill_bytes(pixels, sizeof pixels);
        for (int c = 2; c < 8; c++) fill(columns[c], COLUMNS, 0.25f, 1); /* shade_columns has a line of its own */
        draw_opening(&opening);
    }
    ADD(pixels), ADD(columns);
}

static void call_write_planes(int32_t times) {
    static uint8_t pixels[4 * BOX * TALL], planes[3][BOX * TALL];
    uint8_t *const to[3] = {planes[0], planes[1], planes[2]};
    const int32_t strides[3] = {BOX, BOX, BOX};
    fill_bytes(pixels, sizeof pixels);
    for (size_t k = 3; k < sizeof pixels; k += 4) pixels[k] %= 24;
    for (int32_t n = 0; n < times; n++) write_planes(pixels, BOX, TALL, 12, to, strides);
    ADD(planes);
}

enum { ACROSS = 48, DOWN = 44, MOUTH_ACROSS = 20, MOUTH_DOWN = 16, FIELDS = 9 };

static void call_find_sources(int32_t times) {
    static float fields[3][FIELDS * 2 * ACROSS * DOWN], rest[2][2 * ACROSS * DOWN], found[5][2 * ACROSS * DOWN];
    static float work[4 * ACROSS * DOWN + 3 * ACROSS];
    float face[FIELDS], mouth[FIELDS];
    for (int k = 0; k < 3; k++) fill(fields[k], LENGTH(fields[k]), -3, 3);
    for (int k = 0; k < 2; k++) fill(rest[k], LENGTH(rest[k]), 0, 500);
    fill(face, FIELDS, -1, 1);
    fill(mouth, FIELDS, -1, 1);
    face[3] = mouth[5] = 0.0f;
    const Sources sources = {.across = ACROSS, .down = DOWN, .cell = 11, .mouth_left = 13, .mouth_top = 19,
        .mouth_across = MOUTH_ACROSS, .mouth_down = MOUTH_DOWN, .face_rows = FIELDS, .mouth_rows = FIELDS,
        .face_fields = fields[0], .mouth_fields = fields[1], .jump_fields = fields[2], .at_rest = rest[0],
        .mouth_at_rest = rest[1], .zoom = 1.3125f, .field = found[0], .mouth_field = found[1], .work = work,
        .upper = found[2], .lower = found[3], .both = found[4]};
    for (int32_t n = 0; n < times; n++) find_sources(&sources, face, mouth, 1, 3, 5, 6, portable);
    ADD(found);
}

enum { LINE_POINTS = 21, SHAPES = 6 };

static void make_line(float *line) {
    for (int k = 0; k < LINE_POINTS; k++) {
        line[2 * k] = 12.0f + 3.0f * (float)k + between(-2, 2);
        line[2 * k + 1] = 30.0f + between(-6, 6);
    }
}

static void call_pose_lips(int32_t times) {
    float rest[2 * LINE_POINTS], upper[SHAPES * 2 * LINE_POINTS], jump[SHAPES * 2 * LINE_POINTS], weights[SHAPES];
    float lines[3][2 * LINE_POINTS], extent[8], gap = 0;
    make_line(rest);
    fill(upper, LENGTH(upper), -2, 2);
    fill(jump, LENGTH(jump), -2, 5);
    fill(weights, SHAPES, -0.25f, 1);
    for (int32_t n = 0; n < times; n++)
        gap = pose_lips(rest, upper, jump, SHAPES, LINE_POINTS, weights, lines[0], lines[1], lines[2], extent);
    ADD(lines), ADD(extent), add(&gap, sizeof gap);
}

static void call_line_heights(int32_t times) {
    float line[2 * LINE_POINTS], heights[COLUMNS];
    make_line(line);
    for (int32_t n = 0; n < times; n++) line_heights(line, LINE_POINTS, 9, 4, COLUMNS, heights);
    ADD(heights);
}

static void call_join_layers(int32_t times) {
    static float nodes[2 * MOUTH_ACROSS * MOUTH_DOWN], lower[2 * MOUTH_ACROSS * MOUTH_DOWN];
    static float both[2 * ACROSS * MOUTH_DOWN];
    float line[2 * LINE_POINTS];
    make_line(line);
    for (int j = 0; j < MOUTH_DOWN; j++)
        for (int i = 0; i < MOUTH_ACROSS; i++) {
            nodes[2 * (j * MOUTH_ACROSS + i)] = 4.0f * (float)i;
            nodes[2 * (j * MOUTH_ACROSS + i) + 1] = 4.0f * (float)j;
        }
    fill(lower, LENGTH(lower), 0, 99);
    for (int32_t n = 0; n < times; n++)
        join_layers(nodes, MOUTH_ACROSS, MOUTH_DOWN, line, LINE_POINTS, lower, both, ACROSS);
    ADD(both);
}

enum { EYE_WIDE = 42, EYE_HIGH = 31, BALL_WIDE = 30, BALL_HIGH = 17 };
static uint8_t eye_pictures[3][4 * EYE_WIDE * EYE_HIGH], eye[4 * EYE_WIDE * EYE_HIGH];

static void call_turn_eye(int32_t times) {
    static float shown[BALL_WIDE * BALL_HIGH], weight[BALL_WIDE * BALL_HIGH];
    fill_bytes(eye_pictures[0], sizeof eye_pictures);
    for (size_t k = 0; k < LENGTH(shown); k++) {
        const float share = between(-0.5f, 1.5f);
        shown[k] = share < 0 ? 0 : share > 1 ? 1 : share;
        weight[k] = between(0, 1);
    }
    const Gaze gaze = {EYE_WIDE, EYE_HIGH, eye_pictures[0], eye_pictures[1], 5, 9, BALL_WIDE, BALL_HIGH, shown, weight};
    for (int32_t n = 0; n < times; n++) turn_eye(&gaze, -2.3125f, 1.75f, eye, 4 * EYE_WIDE);
    ADD(eye);
}

static void call_paint_lids(int32_t times) {
    static float maps[5][EYE_WIDE * EYE_HIGH];
    float lines[6][EYE_WIDE];
    fill_bytes(eye_pictures[0], sizeof eye_pictures);
    for (size_t k = 0; k < EYE_WIDE * EYE_HIGH; k++) {
        const float y = (float)(k / EYE_WIDE), share = between(-0.5f, 1.5f);
        maps[0][k] = maps[2][k] = y;
        maps[1][k] = y - between(0, 9);
        maps[3][k] = y + between(0, 9);
        maps[4][k] = share < 0 ? 0 : share > 1 ? 1 : share;
    }
    const float lows[6] = {11, 6, 2, 19, 3, 0}, highs[6] = {13, 6, 2, 21, 3, 0.875f};
    for (int k = 0; k < 6; k++) fill(lines[k], EYE_WIDE, lows[k], highs[k]);
    Lids lids = {.width = EYE_WIDE, .height = EYE_HIGH, .open = eye_pictures[0], .lid_skin = eye_pictures[1],
        .look = eye_pictures[2], .upper_first = maps[0], .upper_second = maps[1], .lower_first = maps[2],
        .lower_second = maps[3], .rim_fade = maps[4], .lid = lines[0], .drop = lines[1], .lift = lines[2],
        .rim = lines[3], .rise = lines[4], .lash_strength = lines[5], .upper_share = 0.625f, .lower_share = 0.75f,
        .overlap = 0.5f, .per_lash = 0.5625f, .lash_share = 0.875f, .lash = {26, 126, 131, 0}};
    const float moved[][3] = {{0, 0, 0}, {0.40625f, 0, 0}, {0.9375f, 0, 0.4375f}, {0, 0.875f, 0.125f}};
    for (int k = 0; k < LENGTH(moved); k++) {
        lids.dropped = moved[k][0], lids.raised = moved[k][1], lids.risen = moved[k][2];
        for (int32_t n = 0; n < times; n++) paint_lids(&lids, eye, 4 * EYE_WIDE);
        ADD(eye);
    }
}

static void call_paint_folds(int32_t times) {
    static float luma[300 * 9], first[300 * 9], second[300 * 9];
    static uint8_t texels[4 * 300 * 9];
    int32_t spans[2 * 9];
    fill(luma, LENGTH(luma), 0, 255);
    fill(first, LENGTH(first), -90, 90);
    fill(second, LENGTH(second), -90, 90);
    for (int row = 0; row < 9; row++) spans[2 * row] = 3 * row, spans[2 * row + 1] = 300 - 5 * row;
    const float *const changes[] = {first, luma, second};
    const float depths[] = {0.5625f, 0.0f, 0.84375f};
    for (int32_t n = 0; n < times; n++) paint_folds(luma, changes, depths, spans, 3, 300, 9, texels, 4 * 300);
    ADD(texels);
}

int main(int count, char **arguments) {
    portable = count > 2 && strcmp(arguments[2], "--portable") == 0;
    const char *only = count > 3 + portable ? arguments[2 + portable] : NULL;
    const int32_t times = only ? atoi(arguments[3 + portable]) : 1;
    void *const library = count > 1 ? OPEN(arguments[1]) : NULL;
    if (!library) return fprintf(stderr, "same_bytes: give the path of the kernels\n"), 2;
#define CALL(name) \
    if (!only || strcmp(only, #name) == 0) { \
        void *const found = FIND(library, "visavis_" #name); \
        if (!found) return fprintf(stderr, "same_bytes: no %s\n", #name), 2; \
        memcpy(&name, &found, sizeof found); \
        state = 1, digest = 0xcbf29ce484222325u; \
        call_##name(times); \
        printf("%-14s %08lx%08lx\n", #name, (unsigned long)(digest >> 32), (unsigned long)(digest & 0xffffffffu)); \
    }
    CALL(draw_strips) CALL(draw_lips) CALL(draw_opening) CALL(write_planes) CALL(find_sources) CALL(pose_lips)
    CALL(line_heights) CALL(join_layers) CALL(shade_columns) CALL(turn_eye) CALL(paint_lids) CALL(paint_folds)
    return 0;
}
