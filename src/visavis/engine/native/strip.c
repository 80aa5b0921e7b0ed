/* The person over the still picture, strip by strip: looked up, laid over, and split into planes, in one walk over the
 * px. */
#include "lookup.h"

static inline uint8_t over(int person, int clear, int still) {
    const int product = still * clear + 128, sum = person + ((product + (product >> 8)) >> 8);
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* 16 to 235: MATTE_BLACK and MATTE_WHITE of render/layers.py. */
static inline uint8_t matte_of(int clear) { return (uint8_t)(235 - (clear * 219 + 127) / 255); }

static inline int average(int a, int b) { return (a + b + 1) >> 1; }

/* at[k]: x and y of the upper row, x and y of the lower one. */
static void blend_rows_c(const Strip *s, const Texture *texture, int row, int from, int to, float *const at[4]) {
    for (int x = from; x < to; x += 2) {
        int32_t seen[2][2][4];
        for (int r = 0; r < 2; r++)
            for (int k = 0; k < 2; k++) sample(texture, at[2 * r][x + k], at[2 * r + 1][x + k], seen[r][k]);
        for (int r = 0; r < 2; r++)
            for (int k = 0; k < 2; k++) {
                const int64_t luma = (int64_t)(row + r) * s->stride[0] + x + k;
                const int clear = whole(seen[r][k][3]);
                s->out[0][luma] = over(whole(seen[r][k][0]), clear, s->still[0][luma]);
                if (s->matte) s->matte[(int64_t)(row + r) * s->matte_stride + x + k] = matte_of(clear);
            }
        int32_t mean[4];
        for (int c = 1; c < 4; c++) {
            const int left = average(seen[0][0][c], seen[1][0][c]), right = average(seen[0][1][c], seen[1][1][c]);
            mean[c] = whole(average(left, right));
        }
        for (int c = 1; c < 3; c++) {
            const int64_t place = (int64_t)(row / 2) * s->stride[c] + x / 2;
            s->out[c][place] = over(mean[c], mean[3], s->still[c][place]);
        }
    }
}

#if defined(__x86_64__)
/* person + clear * still / 255, each in 32 bits. */
AVX2 static inline __m256i over8(__m256i person, __m256i clear, __m256i still) {
    const __m256i product = _mm256_add_epi32(_mm256_madd_epi16(still, clear), _mm256_set1_epi32(128));
    return _mm256_add_epi32(person, _mm256_srli_epi32(_mm256_add_epi32(product, _mm256_srli_epi32(product, 8)), 8));
}

/* Store eight numbers of 32 bits as bytes, saturated. */
AVX2 static inline void store8(uint8_t *to, __m256i value) {
    const __m256i half = _mm256_packus_epi32(value, value), quarter = _mm256_packus_epi16(half, half);
    const int32_t low = _mm256_extract_epi32(quarter, 0), high = _mm256_extract_epi32(quarter, 4);
    memcpy(to, &low, 4);
    memcpy(to + 4, &high, 4);
}

AVX2 static inline void luma8(const Strip *s, int row, int x, __m256i px) {
    const int64_t place = (int64_t)row * s->stride[0] + x;
    const __m256i person = _mm256_and_si256(px, _mm256_set1_epi32(255)), clear = _mm256_srli_epi32(px, 24);
    if (_mm256_testz_si256(clear, clear)) {
        store8(s->out[0] + place, person);
    } else {
        const __m256i still = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(s->still[0] + place)));
        store8(s->out[0] + place, over8(person, clear, still));
    }
    if (s->matte) {
        uint8_t clears[8];
        store8(clears, clear);
        for (int k = 0; k < 8; k++) s->matte[(int64_t)row * s->matte_stride + x + k] = matte_of(clears[k]);
    }
}

AVX2 static inline void chroma4(const Strip *s, int row, int x, const __m256i upper[2], const __m256i lower[2]) {
    __m256i mean[2];
    for (int k = 0; k < 2; k++) {
        const __m256i down = _mm256_avg_epu16(upper[k], lower[k]);
        mean[k] = whole16(_mm256_avg_epu16(down, _mm256_shuffle_epi32(down, 0x4E)));
    }
    const __m256i px = _mm256_packus_epi16(mean[0], mean[1]); /* of the four: 0 0 2 2, 1 1 3 3 */
    const __m128 low = _mm_castsi128_ps(_mm256_castsi256_si128(px));
    const __m128 high = _mm_castsi128_ps(_mm256_extracti128_si256(px, 1));
    const __m128i four = _mm_shuffle_epi32(_mm_castps_si128(_mm_shuffle_ps(low, high, 0x88)), 0xD8);
    const __m128i clear = _mm_srli_epi32(four, 24);
    for (int c = 1; c < 3; c++) {
        const int64_t place = (int64_t)(row / 2) * s->stride[c] + x / 2;
        int32_t bytes;
        memcpy(&bytes, s->still[c] + place, 4);
        const __m128i colour = c == 1 ? _mm_srli_epi32(four, 8) : _mm_srli_epi32(four, 16);
        const __m128i person = _mm_and_si128(colour, _mm_set1_epi32(255));
        const __m128i still = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
        const __m128i product = _mm_add_epi32(_mm_madd_epi16(still, clear), _mm_set1_epi32(128));
        const __m128i share = _mm_srli_epi32(_mm_add_epi32(product, _mm_srli_epi32(product, 8)), 8);
        const __m128i sum = _mm_add_epi32(person, share);
        const __m128i half = _mm_packus_epi32(sum, sum);
        bytes = _mm_cvtsi128_si32(_mm_packus_epi16(half, half));
        memcpy(s->out[c] + place, &bytes, 4);
    }
}

AVX2 static void blend_rows_avx2(
    const Strip *s, const Texture *texture, int row, int from, int to, float *const at[4]) {
    for (int x = from; x < to; x += 8) {
        if (x > to - 8) x = to - 8; /* some px twice: nothing that is written is read */
        __m256i upper[2], lower[2];
        sample8(texture, at[0] + x, at[1] + x, upper);
        sample8(texture, at[2] + x, at[3] + x, lower);
        luma8(s, row, x, packed8(upper));
        luma8(s, row + 1, x, packed8(lower));
        chroma4(s, row, x, upper, lower);
    }
}
#endif

static void draw(const Strip *s, const Grid *grid, const Texture *texture, float *scratch, int avx2) {
    const int room = row_room(s->width, grid->cell);
    float *const begin = scratch + 2 * room + SLACK + grid->cell;
    float *const at[4] = {begin, begin + room, begin + 2 * room, begin + 3 * room};
    for (int row = 0; row < s->height; row += 2) {
        const int from = s->spans[row], to = s->spans[row + 1];
        if (from >= to) continue;
        for (int r = 0; r < 2; r++) {
            float *const x = at[2 * r] + from, *const y = at[2 * r + 1] + from;
            spread(grid, s->left + from, s->top + row + r, to - from, scratch, x, y, avx2);
        }
#if defined(__x86_64__)
        if (avx2) {
            blend_rows_avx2(s, texture, row, from, to, at);
            continue;
        }
#endif
        blend_rows_c(s, texture, row, from, to, at);
    }
}

/* Whether a node of the strip has moved by more than `still_by` since it was drawn; notes where they are now if one
 * has. */
static int has_moved(Strip *s, const Grid *grid, float still_by) {
    const int columns = 2 * (s->last_column - s->first_column + 1);
    int moved = !s->is_drawn || still_by < 0;
    for (int j = s->first_row; !moved && j <= s->last_row; j++) {
        const float *now = grid->nodes + 2 * ((int64_t)j * grid->across + s->first_column);
        const float *then = s->drawn + (int64_t)(j - s->first_row) * columns;
        int far = 0;
        for (int k = 0; k < columns; k++) far |= now[k] - then[k] > still_by || then[k] - now[k] > still_by;
        moved = far;
    }
    if (!moved) return 0;
    for (int j = s->first_row; j <= s->last_row; j++) {
        const float *now = grid->nodes + 2 * ((int64_t)j * grid->across + s->first_column);
        memcpy(s->drawn + (int64_t)(j - s->first_row) * columns, now, (size_t)columns * sizeof(float));
    }
    s->is_drawn = 1;
    return 1;
}

/* Draw the strips in which a node has moved by more than `still_by` texture px, and those that touch `changed`: pairs
 * of rows, from and up to, px from the beginning of the grid. `scratch`: six times row_room of the widest. Returns how
 * many were drawn. `plain`: without AVX2, which the tests compare. */
API int32_t visavis_draw(
    Strip *strips, int32_t count, const Grid *grid, const Texture *texture, float still_by, const int32_t *changed,
    int32_t changes, float *scratch, int32_t plain) {
    const int avx2 = !plain && has_avx2();
    int32_t drawn = 0;
    for (int32_t k = 0; k < count; k++) {
        Strip *s = strips + k;
        int touched = 0;
        for (int32_t c = 0; c < changes; c++)
            touched |= changed[2 * c] < s->top + s->height && changed[2 * c + 1] > s->top;
        if (!has_moved(s, grid, touched ? -1.0f : still_by)) continue;
        drawn++;
        draw(s, grid, texture, scratch, avx2);
    }
    return drawn;
}
