/* The filters in the residual blocks of Kokoro's generator, for x86-64 with AVX2 and FMA.

   One call computes: normalise each channel with the moments of the whole sound and the gain and shift of the voice
   (adaptive instance normalisation), bend it by Snake, v + sin(a v)^2 / a (Ziyin et al. 2020), and filter it, a
   convolution of stride 1 whose output is as long as its input. Sound lies in rows: a row is one instant, all channels.

   Rows are taken in steps that stay in the cache. Each step is turned into bytes of 7 bits with a scale of its own, the
   weights have 7 bits and a scale for each output: four products, 4 * 128 * 63 = 32256, fit into the 16 bits in which
   AVX2 adds them, so sums of 32 bits are needed half as often as with bytes of 8 bits. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { STEP = 128, TILE = 6, TOP = 127 };

typedef struct {
    int32_t channels, taps, dilation; /* channels in and out: a multiple of 32 */
    const int8_t *panels;             /* [channels / 16][taps * channels / 4][2][8 outputs][4 inputs], within +-63 */
    const float *scales, *bias;       /* [channels] */
    const int32_t *sums;              /* [channels]: of the weights of each output */
    const float *alpha;               /* [2][channels]: Snake's a, and 1 / a */
} filter;

/* sin(u)^2 = sin(u - k pi)^2; the polynomial is fitted over half a period, error below 1e-8 before rounding. */
static inline __m256 sine_squared(__m256 u) {
    const __m256 k = _mm256_round_ps(_mm256_mul_ps(u, _mm256_set1_ps(0.318309886f)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(3.140625f), u); /* pi in two parts, so that k pi is exact */
    r = _mm256_fnmadd_ps(k, _mm256_set1_ps(9.67653590e-4f), r);
    const __m256 z = _mm256_mul_ps(r, r);
    __m256 p = _mm256_set1_ps(2.59897353e-6f);
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(-1.98060641e-4f));
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(8.33300841e-3f));
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(-1.66666567e-1f));
    p = _mm256_fmadd_ps(_mm256_mul_ps(p, z), r, r);
    return _mm256_mul_ps(p, p);
}

static inline void add_lanes(double *to, __m256 v) {
    float lane[8];
    _mm256_storeu_ps(lane, v);
    for (int i = 0; i < 8; i++) to[i] += lane[i];
}

/* Sums of all rows into moments[0 .. channels), of their squares behind them. */
void moments_of(const float *x, int64_t rows, int32_t channels, double *moments) {
    memset(moments, 0, sizeof(double) * 2 * channels);
    for (int64_t from = 0; from < rows; from += STEP) {
        const int64_t to = from + STEP < rows ? from + STEP : rows;
        for (int c = 0; c < channels; c += 8) {
            __m256 sum = _mm256_setzero_ps(), squares = sum;
            for (int64_t t = from; t < to; t++) {
                const __m256 v = _mm256_loadu_ps(x + t * channels + c);
                sum = _mm256_add_ps(sum, v);
                squares = _mm256_fmadd_ps(v, v, squares);
            }
            add_lanes(moments + c, sum);
            add_lanes(moments + channels + c, squares);
        }
    }
}

/* Normalised, bent rows into `out`; the smallest and largest value (zero counts) into `range`. */
static void bend(const filter *f, const float *x, int64_t rows, const float *gain, const float *shift, float *out,
                 float range[2]) {
    const int C = f->channels;
    __m256 low = _mm256_setzero_ps(), high = low;
    for (int64_t t = 0; t < rows; t++, x += C, out += C)
        for (int c = 0; c < C; c += 8) {
            __m256 v = _mm256_loadu_ps(x + c);
            v = _mm256_fmadd_ps(v, _mm256_loadu_ps(gain + c), _mm256_loadu_ps(shift + c));
            const __m256 bent = sine_squared(_mm256_mul_ps(v, _mm256_loadu_ps(f->alpha + c)));
            v = _mm256_fmadd_ps(bent, _mm256_loadu_ps(f->alpha + C + c), v);
            low = _mm256_min_ps(low, v);
            high = _mm256_max_ps(high, v);
            _mm256_storeu_ps(out + c, v);
        }
    float lows[8], highs[8];
    _mm256_storeu_ps(lows, low);
    _mm256_storeu_ps(highs, high);
    range[0] = lows[0], range[1] = highs[0];
    for (int i = 1; i < 8; i++) {
        if (lows[i] < range[0]) range[0] = lows[i];
        if (highs[i] > range[1]) range[1] = highs[i];
    }
}

static void to_bytes(const float *x, int64_t count, float scale, int zero, uint8_t *out) {
    const __m256 by = _mm256_set1_ps(1.0f / scale);
    const __m256i z = _mm256_set1_epi32(zero), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int64_t i = 0; i < count; i += 32) {
        __m256i part[4];
        for (int j = 0; j < 4; j++)
            part[j] = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i + 8 * j), by)), z);
        const __m256i packed =
            _mm256_packus_epi16(_mm256_packs_epi32(part[0], part[1]), _mm256_packs_epi32(part[2], part[3]));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_permutevar8x32_epi32(packed, order));
    }
}

/* Sums of products of TILE rows with one panel, 16 outputs. */
static inline void tile(const filter *f, const uint8_t *bytes, const int8_t *panel, __m256i sum[TILE][2]) {
    const int C = f->channels;
    const __m256i ones = _mm256_set1_epi16(1);
    for (int r = 0; r < TILE; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (int tap = 0; tap < f->taps; tap++, bytes += (int64_t)f->dilation * C)
        for (int i = 0; i < C; i += 8, panel += 128) {
            __m256i w[4];
            for (int j = 0; j < 4; j++) w[j] = _mm256_loadu_si256((const __m256i *)(panel + 32 * j));
#pragma GCC unroll 6
            for (int r = 0; r < TILE; r++) {
                int32_t four[2];
                memcpy(four, bytes + r * C + i, 8);
                const __m256i a = _mm256_set1_epi32(four[0]), b = _mm256_set1_epi32(four[1]);
#pragma GCC unroll 2
                for (int j = 0; j < 2; j++) {
                    const __m256i pairs =
                        _mm256_add_epi16(_mm256_maddubs_epi16(a, w[j]), _mm256_maddubs_epi16(b, w[2 + j]));
                    sum[r][j] = _mm256_add_epi32(sum[r][j], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
}

/* One filter over x, which has `rows` rows, with `residual` added (none when NULL; it may be y): rows begin to end of y.

   moments: [2][channels], those of the rows that are written. scratch: (STEP + TILE + (taps - 1) * dilation) * channels
   floats, then as many bytes. x and y do not overlap; threads may write parts of one y, each a multiple of STEP long. */
void filter_rows(const filter *f, const float *x, int64_t rows, int64_t begin, int64_t end, const float *gain,
                 const float *shift, const float *residual, float *y, double *moments, float *scratch) {
    const int C = f->channels, reach = (f->taps - 1) / 2 * f->dilation;
    uint8_t *bytes = (uint8_t *)(scratch + (int64_t)(STEP + TILE + 2 * reach) * C);
    memset(moments, 0, sizeof(double) * 2 * C);
    for (int64_t from = begin; from < end; from += STEP) {
        const int64_t count = from + STEP < end ? STEP : end - from;
        const int64_t first = from > reach ? from - reach : 0;
        const int64_t last = from + count + reach < rows ? from + count + reach : rows;
        const int64_t before = first - (from - reach), inside = last - first;
        float range[2];
        bend(f, x + first * C, inside, gain, shift, scratch, range);
        const float scale = range[1] > range[0] ? (range[1] - range[0]) / TOP : 1.0f;
        const int zero = (int)lrintf(-range[0] / scale);
        memset(bytes, zero, (size_t)(STEP + TILE + 2 * reach) * C); /* beyond the ends there is silence */
        to_bytes(scratch, inside * C, scale, zero, bytes + before * C);
        for (int c = 0; c < C; c += 16) {
            __m256 by[2], bias[2], sum[2], squares[2];
            __m256i offset[2];
            for (int j = 0; j < 2; j++) {
                by[j] = _mm256_mul_ps(_mm256_loadu_ps(f->scales + c + 8 * j), _mm256_set1_ps(scale));
                bias[j] = _mm256_loadu_ps(f->bias + c + 8 * j);
                offset[j] = _mm256_mullo_epi32(_mm256_set1_epi32(zero),
                                               _mm256_loadu_si256((const __m256i *)(f->sums + c + 8 * j)));
                sum[j] = squares[j] = _mm256_setzero_ps();
            }
            for (int64_t t = 0; t < count; t += TILE) {
                __m256i product[TILE][2];
                tile(f, bytes + t * C, f->panels + (int64_t)c * f->taps * C, product);
                for (int r = 0; r < TILE && t + r < count; r++)
                    for (int j = 0; j < 2; j++) {
                        const int64_t at = (from + t + r) * C + c + 8 * j;
                        __m256 v = _mm256_cvtepi32_ps(_mm256_sub_epi32(product[r][j], offset[j]));
                        v = _mm256_fmadd_ps(v, by[j], bias[j]);
                        if (residual) v = _mm256_add_ps(v, _mm256_loadu_ps(residual + at));
                        _mm256_storeu_ps(y + at, v);
                        sum[j] = _mm256_add_ps(sum[j], v);
                        squares[j] = _mm256_fmadd_ps(v, v, squares[j]);
                    }
            }
            for (int j = 0; j < 2; j++) {
                add_lanes(moments + c + 8 * j, sum[j]);
                add_lanes(moments + C + c + 8 * j, squares[j]);
            }
        }
    }
}
