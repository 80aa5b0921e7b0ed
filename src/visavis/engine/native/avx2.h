/* The vectors of x86-64: AVX2. vectors.h says what each function is. */
#ifndef VISAVIS_AVX2_H
#define VISAVIS_AVX2_H

#include "lookup.h"

#include <cpuid.h>
#include <immintrin.h>

#define VECTORS __attribute__((target("avx2")))

/* Numbers of 16 bits: four px in each half. */
typedef struct {
    __m256i half[2];
} Eight;

/* AVX2 is there if the processor has it and the operating system saves its registers. The answer is kept: in a virtual
 * machine, a CPUID costs microseconds. */
static inline int has_vectors(void) {
    static int known = -1;
    if (known < 0) {
        uint32_t a, b, c, d, low = 0, high = 0;
        int has = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE);
        if (has) __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        known = has && (low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
    }
    return known;
}

VECTORS static inline void interpolate_row_vectors(
    const Grid *grid, int left, int y, int width, float *line, float *at_x, float *at_y) {
    const RowSpan span = mix_rows(grid, left, y, width, line);
    const __m256 eight = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
    for (int p = 0; p < grid->cell; p += 8) {
        const __m256 behind = _mm256_add_ps(eight, _mm256_set1_ps((float)p));
        const __m256 cells = _mm256_mul_ps(behind, _mm256_set1_ps(span.per_cell));
        const __m256 share = _mm256_add_ps(_mm256_set1_ps(span.begin), cells);
        const int rest = grid->cell - p;
        const float *node = line;
        for (int i = span.first; i < span.last; i++, node += 2) {
            const int to = i * grid->cell + grid->cell / 2 - left + p;
            const __m256 dx = _mm256_mul_ps(_mm256_set1_ps(node[2] - node[0]), share);
            const __m256 dy = _mm256_mul_ps(_mm256_set1_ps(node[3] - node[1]), share);
            const __m256 x8 = _mm256_add_ps(_mm256_set1_ps(node[0]), dx);
            const __m256 y8 = _mm256_add_ps(_mm256_set1_ps(node[1]), dy);
            if (p == 0 || rest >= 8) { /* px written beyond this cell are overwritten with the next cell */
                _mm256_storeu_ps(at_x + to, x8);
                _mm256_storeu_ps(at_y + to, y8);
            } else { /* the beginning of the next cell is written already and must stay */
                const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                const __m256i own = _mm256_cmpgt_epi32(_mm256_set1_epi32(rest), order);
                _mm256_maskstore_ps(at_x + to, own, x8);
                _mm256_maskstore_ps(at_y + to, own, y8);
            }
        }
    }
}

/* Four times eight bytes, at `places` from `base`: no slower than a gather, and much faster where gathers are
 * mitigated. */
VECTORS static inline __m256i load4(const uint8_t *base, const int32_t *places) {
    long long at[4];
    for (int k = 0; k < 4; k++) memcpy(at + k, base + places[k], 8);
    return _mm256_set_epi64x(at[3], at[2], at[1], at[0]);
}

VECTORS static inline void sample8(const Texture *t, const float *at_x, const float *at_y, Eight *out) {
    const __m256 one = _mm256_set1_ps(1.0f), least = _mm256_set1_ps(-1.0f);
    const __m256 width = _mm256_set1_ps((float)t->width), height = _mm256_set1_ps((float)t->height);
    const __m256 x = _mm256_add_ps(_mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(at_x), least), width), one);
    const __m256 y = _mm256_add_ps(_mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(at_y), least), height), one);
    const __m256i ix = _mm256_cvttps_epi32(x), iy = _mm256_cvttps_epi32(y);
    const __m256 across = _mm256_sub_ps(x, _mm256_cvtepi32_ps(ix)), down = _mm256_sub_ps(y, _mm256_cvtepi32_ps(iy));
    const __m256 steps = _mm256_mul_ps(across, _mm256_set1_ps((float)ONE));
    const __m256i fx = _mm256_cvttps_epi32(_mm256_add_ps(steps, _mm256_set1_ps(0.5f)));
    const __m256i fy = _mm256_cvttps_epi32(_mm256_mul_ps(down, _mm256_set1_ps(32767.0f)));
    const __m256i rows = _mm256_madd_epi16(iy, _mm256_set1_epi32(t->stride));
    const __m256i place = _mm256_add_epi32(rows, _mm256_slli_epi32(ix, 2));
    int32_t places[8];
    _mm256_storeu_si256((__m256i *)places, place);
    /* (ONE - fx, fx) as two bytes, repeated in each 16 bits of a texel's 64; the same for fy */
    const __m256i wx = _mm256_or_si256(_mm256_sub_epi32(_mm256_set1_epi32(ONE), fx), _mm256_slli_epi32(fx, 8));
    const __m256i halves[2] = {_mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)};
    const __m256i twice = _mm256_setr_epi8(
        0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13, 0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
    const __m256i pairs = _mm256_setr_epi8( /* Y Y' U U' V V' A A' */
        0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    const uint8_t *top = t->texels - t->stride - 4, *bottom = t->texels - 4;
    for (int half = 0; half < 2; half++) {
        const __m256i by_x = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(wx, halves[half]), twice);
        const __m256i by_y = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(fy, halves[half]), twice);
        const __m256i a = _mm256_maddubs_epi16(_mm256_shuffle_epi8(load4(top, places + 4 * half), pairs), by_x);
        const __m256i b = _mm256_maddubs_epi16(_mm256_shuffle_epi8(load4(bottom, places + 4 * half), pairs), by_x);
        out->half[half] = _mm256_add_epi16(a, _mm256_mulhrs_epi16(_mm256_sub_epi16(b, a), by_y));
    }
}

VECTORS static inline void mix8(const Eight *above, const int32_t shares[8], Eight *below) {
    for (int half = 0; half < 2; half++) {
        const int32_t *s = shares + 4 * half;
        const long long fourfold = 0x1000100010001LL; /* times a number of 16 bits: four of it side by side */
        const __m256i share = _mm256_setr_epi64x(s[0] * fourfold, s[1] * fourfold, s[2] * fourfold, s[3] * fourfold);
        const __m256i apart = _mm256_sub_epi16(below->half[half], above->half[half]);
        const __m256i both = _mm256_add_epi16(above->half[half], _mm256_mulhrs_epi16(apart, share));
        const __m256i is_full = _mm256_cmpeq_epi16(share, _mm256_set1_epi16(FULL));
        below->half[half] = _mm256_blendv_epi8(both, below->half[half], is_full);
    }
}

VECTORS static inline __m256i rounded16(__m256i value) {
    return _mm256_srli_epi16(_mm256_add_epi16(value, _mm256_set1_epi16(ONE / 2)), FRACTION_BITS);
}

/* Eight px as eight texels of four bytes. */
VECTORS static inline __m256i packed8(const Eight *seen) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(rounded16(seen->half[0]), rounded16(seen->half[1])), 0xD8);
}

VECTORS static inline void store_texels8(uint8_t *to, const Eight *seen) {
    _mm256_storeu_si256((__m256i *)to, packed8(seen));
}

/* Store eight numbers of 32 bits as saturated bytes. */
VECTORS static inline void store8(uint8_t *to, __m256i value) {
    const __m256i half = _mm256_packus_epi32(value, value), quarter = _mm256_packus_epi16(half, half);
    const int32_t low = _mm256_extract_epi32(quarter, 0), high = _mm256_extract_epi32(quarter, 4);
    memcpy(to, &low, 4);
    memcpy(to + 4, &high, 4);
}

VECTORS static inline void store_transparency8(uint8_t *to, const Eight *seen) {
    store8(to, _mm256_srli_epi32(packed8(seen), 24));
}

VECTORS static inline void composite_luma8(const Eight *seen, const uint8_t *still, uint8_t *out) {
    const __m256i px = packed8(seen);
    const __m256i person = _mm256_and_si256(px, _mm256_set1_epi32(255)), transparency = _mm256_srli_epi32(px, 24);
    if (_mm256_testz_si256(transparency, transparency)) {
        store8(out, person);
        return;
    }
    const __m256i behind = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)still));
    const __m256i product = _mm256_add_epi32(_mm256_madd_epi16(behind, transparency), _mm256_set1_epi32(128));
    const __m256i share = _mm256_srli_epi32(_mm256_add_epi32(product, _mm256_srli_epi32(product, 8)), 8);
    store8(out, _mm256_add_epi32(person, share));
}

VECTORS static inline void composite_chroma4(
    const Eight *upper, const Eight *lower, const uint8_t *const still[2], uint8_t *const out[2]) {
    __m256i mean[2];
    for (int k = 0; k < 2; k++) {
        const __m256i down = _mm256_avg_epu16(upper->half[k], lower->half[k]);
        mean[k] = rounded16(_mm256_avg_epu16(down, _mm256_shuffle_epi32(down, 0x4E)));
    }
    const __m256i px = _mm256_packus_epi16(mean[0], mean[1]); /* order of the four: 0 0 2 2, 1 1 3 3 */
    const __m128 low = _mm_castsi128_ps(_mm256_castsi256_si128(px));
    const __m128 high = _mm_castsi128_ps(_mm256_extracti128_si256(px, 1));
    const __m128i four = _mm_shuffle_epi32(_mm_castps_si128(_mm_shuffle_ps(low, high, 0x88)), 0xD8);
    const __m128i transparency = _mm_srli_epi32(four, 24);
    for (int c = 0; c < 2; c++) {
        int32_t bytes;
        memcpy(&bytes, still[c], 4);
        const __m128i colour = c == 0 ? _mm_srli_epi32(four, 8) : _mm_srli_epi32(four, 16);
        const __m128i person = _mm_and_si128(colour, _mm_set1_epi32(255));
        const __m128i behind = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
        const __m128i product = _mm_add_epi32(_mm_madd_epi16(behind, transparency), _mm_set1_epi32(128));
        const __m128i share = _mm_srli_epi32(_mm_add_epi32(product, _mm_srli_epi32(product, 8)), 8);
        const __m128i sum = _mm_add_epi32(person, share);
        const __m128i half = _mm_packus_epi32(sum, sum);
        bytes = _mm_cvtsi128_si32(_mm_packus_epi16(half, half));
        memcpy(out[c], &bytes, 4);
    }
}

#endif
