/* The filters of Kokoro's generator, in its residual blocks and where it raises the rate, for x86-64 with AVX2 and FMA, with
   AVX-512 and VNNI, or with AMX, too. What is computed is the same to the bit.

   One call computes: normalise each channel with the moments of the whole sound and the gain and shift of the voice
   (adaptive instance normalisation), bend it by Snake, v + sin(a v)^2 / a (Ziyin et al. 2020), and filter it, a
   convolution of stride 1 whose output is as long as its input. Sound lies in rows: a row is one instant, all channels.
   Where the rate is raised n times, a row of output is n instants, and the input is bent by a leaky ReLU.

   Rows are taken in steps that stay in the cache. The whole does not: its next rows are asked for in time (a processor
   looks ahead within a page, which is 8 rows), and what is written where nothing was read is written past the cache. Sound
   that begins at a multiple of 64 bytes is read and written fastest.

   Each step is turned into bytes of 7 bits with a scale of its own, the weights have 7 bits and a scale for each output:
   four products, 4 * 128 * 63 = 32256, fit into the 16 bits in which AVX2 adds them, so sums of 32 bits are needed half as
   often as with bytes of 8 bits. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { STEP = 128, SLACK = 32, TOP = 127 }; /* tiles reach at most SLACK rows behind a step */
enum { SOON = 1024 };                       /* floats ahead */
enum { BLOCK = 64 };                        /* outputs */
enum { LAST = 32 };                         /* room for the outputs of the last filter, which has 22 */
static const float SLOPE = 0.1f;            /* of the leaky ReLU below zero */
static const float LAST_SLOPE = 0.01f;

#if defined(__AVX512VNNI__)
enum { LANES = 16 };
typedef __m512 floats;
typedef __m512i ints;
#define F(name) _mm512_##name##_ps
#define I(name) _mm512_##name
#define LOAD(from) _mm512_loadu_si512(from)
#define STORE(to, v) _mm512_storeu_si512(to, v)
#define NEAREST(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#else
enum { LANES = 8 };
typedef __m256 floats;
typedef __m256i ints;
#define F(name) _mm256_##name##_ps
#define I(name) _mm256_##name
#define LOAD(from) _mm256_loadu_si256((const __m256i *)(from))
#define STORE(to, v) _mm256_storeu_si256((__m256i *)(to), v)
#define NEAREST(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#endif

typedef struct {
    int32_t channels, outputs, taps, dilation; /* channels and outputs: multiples of 64 */
    const int8_t *panels;       /* [outputs / 16][taps * channels / 4][16 outputs][4 channels], within +-63 */
    const float *scales, *bias; /* [outputs] */
    const int32_t *sums;        /* [outputs]: of the weights of each output */
    const float *alpha;         /* [2][channels]: Snake's a, and 1 / a; NULL: a leaky ReLU */
} filter;

/* sin(u)^2 = sin(u - k pi)^2; the polynomial is fitted over half a period, error below 1e-8 before rounding. */
static inline floats sine_squared(floats u) {
    const floats k = NEAREST(F(mul)(u, F(set1)(0.318309886f)));
    floats r = F(fnmadd)(k, F(set1)(3.140625f), u); /* pi in two parts, so that k pi is exact */
    r = F(fnmadd)(k, F(set1)(9.67653590e-4f), r);
    const floats z = F(mul)(r, r);
    floats p = F(set1)(2.59897353e-6f);
    p = F(fmadd)(p, z, F(set1)(-1.98060641e-4f));
    p = F(fmadd)(p, z, F(set1)(8.33300841e-3f));
    p = F(fmadd)(p, z, F(set1)(-1.66666567e-1f));
    p = F(fmadd)(F(mul)(p, z), r, r);
    return F(mul)(p, p);
}

static inline void add_lanes(double *to, floats v) {
    float lane[LANES];
    F(storeu)(lane, v);
    for (int i = 0; i < LANES; i++) to[i] += lane[i];
}

/* Sums of all rows into moments[0 .. channels), of their squares behind them. */
void moments_of(const float *x, int64_t rows, int32_t channels, double *moments) {
    memset(moments, 0, sizeof(double) * 2 * channels);
    for (int64_t from = 0; from < rows; from += STEP) {
        const int64_t to = from + STEP < rows ? from + STEP : rows;
        for (int c = 0; c < channels; c += LANES) {
            floats sum = F(setzero)(), squares = sum;
            for (int64_t t = from; t < to; t++) {
                const floats v = F(loadu)(x + t * channels + c);
                sum = F(add)(sum, v);
                squares = F(fmadd)(v, v, squares);
            }
            add_lanes(moments + c, sum);
            add_lanes(moments + channels + c, squares);
        }
    }
}

static inline floats bent(const filter *f, floats v, int c) {
    if (!f->alpha) return F(max)(v, F(mul)(v, F(set1)(SLOPE)));
    const floats squared = sine_squared(F(mul)(v, F(loadu)(f->alpha + c)));
    return F(fmadd)(squared, F(loadu)(f->alpha + f->channels + c), v);
}

/* Normalised, bent rows into `out`; the smallest and largest value (zero counts) into `range`. */
static void bend(const filter *f, const float *x, int64_t rows, const float *gain, const float *shift, float *out,
                 float range[2]) {
    const int C = f->channels;
    floats low = F(setzero)(), high = low;
    for (int64_t t = 0; t < rows; t++, x += C, out += C)
        for (int c = 0; c < C; c += LANES) {
            _mm_prefetch((const char *)(x + c + SOON), _MM_HINT_T0);
            floats v = F(loadu)(x + c);
            v = F(fmadd)(v, F(loadu)(gain + c), F(loadu)(shift + c));
            v = bent(f, v, c);
            low = F(min)(low, v);
            high = F(max)(high, v);
            F(storeu)(out + c, v);
        }
    float lows[LANES], highs[LANES];
    F(storeu)(lows, low);
    F(storeu)(highs, high);
    range[0] = lows[0], range[1] = highs[0];
    for (int i = 1; i < LANES; i++) {
        if (lows[i] < range[0]) range[0] = lows[i];
        if (highs[i] > range[1]) range[1] = highs[i];
    }
}

static inline ints to_ints(const float *x, floats by, ints zero) {
    return I(add_epi32)(I(cvtps_epi32)(F(mul)(F(loadu)(x), by)), zero);
}

static void to_bytes(const float *x, int64_t count, float scale, int zero, uint8_t *out) {
    const floats by = F(set1)(1.0f / scale);
    const ints z = I(set1_epi32)(zero);
#if defined(__AVX512VNNI__)
    for (int64_t i = 0; i < count; i += 16) {
        const ints whole = _mm512_max_epi32(to_ints(x + i, by, z), _mm512_setzero_si512());
        _mm_storeu_si128((__m128i *)(out + i), _mm512_cvtusepi32_epi8(whole));
    }
#else
    const ints order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int64_t i = 0; i < count; i += 32) {
        const ints low = _mm256_packs_epi32(to_ints(x + i, by, z), to_ints(x + i + 8, by, z));
        const ints high = _mm256_packs_epi32(to_ints(x + i + 16, by, z), to_ints(x + i + 24, by, z));
        const ints packed = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
        _mm256_storeu_si256((__m256i *)(out + i), packed);
    }
#endif
}

/* Sums of products of TILE rows with the weights of 2 * LANES outputs: one panel, or two, `next` bytes apart; into rows of
   BLOCK sums. */
#if defined(__AMX_INT8__)
enum { TILE = 32 };

static inline void tile(const filter *f, const uint8_t *bytes, const int8_t *panel, int64_t next, int32_t *out) {
    const int C = f->channels;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int tap = 0; tap < f->taps; tap++, bytes += (int64_t)f->dilation * C)
        for (int i = 0; i < C; i += 64, panel += 1024) {
            _tile_loadd(4, bytes + i, C);
            _tile_loadd(5, bytes + i + 16 * C, C);
            _tile_loadd(6, panel, 64);
            _tile_loadd(7, panel + next, 64);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    _tile_stored(0, out, 4 * BLOCK);
    _tile_stored(1, out + LANES, 4 * BLOCK);
    _tile_stored(2, out + 16 * BLOCK, 4 * BLOCK);
    _tile_stored(3, out + 16 * BLOCK + LANES, 4 * BLOCK);
}

static void begin_tiles(void) {
    struct {
        uint8_t palette, start, none[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = 16;
    _tile_loadconfig(&shape);
}

static void end_tiles(void) { _tile_release(); }
#elif defined(__AVX512VNNI__)
enum { TILE = 8 };

static inline void tile(const filter *f, const uint8_t *bytes, const int8_t *panel, int64_t next, int32_t *out) {
    const int C = f->channels;
    ints sum[TILE][2];
    for (int r = 0; r < TILE; r++) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
    for (int tap = 0; tap < f->taps; tap++, bytes += (int64_t)f->dilation * C)
        for (int i = 0; i < C; i += 4, panel += 64) {
            const ints first = LOAD(panel), second = LOAD(panel + next);
#pragma GCC unroll 8
            for (int r = 0; r < TILE; r++) {
                int32_t four;
                memcpy(&four, bytes + r * C + i, 4);
                const ints a = _mm512_set1_epi32(four);
                sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], a, first);
                sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], a, second);
            }
        }
    for (int r = 0; r < TILE; r++)
        for (int j = 0; j < 2; j++) STORE(out + r * BLOCK + LANES * j, sum[r][j]);
}
#else
enum { TILE = 6 };

static inline void tile(const filter *f, const uint8_t *bytes, const int8_t *panel, int64_t next, int32_t *out) {
    (void)next; /* these lanes hold half a panel */
    const int C = f->channels;
    const ints ones = _mm256_set1_epi16(1);
    ints sum[TILE][2];
    for (int r = 0; r < TILE; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (int tap = 0; tap < f->taps; tap++, bytes += (int64_t)f->dilation * C)
        for (int i = 0; i < C; i += 8, panel += 128) {
            ints w[4];
            for (int j = 0; j < 4; j++) w[j] = LOAD(panel + 32 * j);
#pragma GCC unroll 6
            for (int r = 0; r < TILE; r++) {
                int32_t four[2];
                memcpy(four, bytes + r * C + i, 8);
                const ints a = _mm256_set1_epi32(four[0]), b = _mm256_set1_epi32(four[1]);
#pragma GCC unroll 2
                for (int j = 0; j < 2; j++) {
                    const ints pairs =
                        _mm256_add_epi16(_mm256_maddubs_epi16(a, w[j]), _mm256_maddubs_epi16(b, w[2 + j]));
                    sum[r][j] = _mm256_add_epi32(sum[r][j], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
    for (int r = 0; r < TILE; r++)
        for (int j = 0; j < 2; j++) STORE(out + r * BLOCK + LANES * j, sum[r][j]);
}
#endif
#if !defined(__AMX_INT8__)
static void begin_tiles(void) {}
static void end_tiles(void) {}
#endif

/* A block of outputs from its products, in rows of y, the residual added; their moments are added to those before. */
static void finish(const filter *f, int block, const int32_t *products, int64_t rows, float scale, int zero,
                   const float *residual, float *y, double *moments) {
    enum { WIDE = 4 };
    const int O = f->outputs, streams = residual != y && (uintptr_t)y % sizeof(floats) == 0;
    for (int c = block; c < block + BLOCK; c += WIDE * LANES) {
        floats by[WIDE], bias[WIDE], sum[WIDE], squares[WIDE];
        ints offset[WIDE];
        for (int j = 0; j < WIDE; j++) {
            by[j] = F(mul)(F(loadu)(f->scales + c + LANES * j), F(set1)(scale));
            bias[j] = F(loadu)(f->bias + c + LANES * j);
            offset[j] = I(mullo_epi32)(I(set1_epi32)(zero), LOAD(f->sums + c + LANES * j));
            sum[j] = squares[j] = F(setzero)();
        }
        for (int64_t t = 0; t < rows; t++)
            for (int j = 0; j < WIDE; j++) {
                const int64_t at = t * O + c + LANES * j;
                const ints product = LOAD(products + t * BLOCK + c - block + LANES * j);
                floats v = F(cvtepi32)(I(sub_epi32)(product, offset[j]));
                v = F(fmadd)(v, by[j], bias[j]);
                if (residual) {
                    _mm_prefetch((const char *)(residual + at + SOON), _MM_HINT_T0);
                    v = F(add)(v, F(loadu)(residual + at));
                }
                if (streams)
                    F(stream)(y + at, v);
                else
                    F(storeu)(y + at, v);
                sum[j] = F(add)(sum[j], v);
                squares[j] = F(fmadd)(v, v, squares[j]);
            }
        for (int j = 0; j < WIDE; j++) {
            add_lanes(moments + c + LANES * j, sum[j]);
            add_lanes(moments + O + c + LANES * j, squares[j]);
        }
    }
}

/* One filter over x, which has `rows` rows, with `residual` added (none when NULL; it may be y): rows begin to end of y.

   moments: [2][outputs], those of the rows that are written. scratch: (STEP + SLACK + (taps - 1) * dilation) * channels
   floats, then as many bytes, then (STEP + SLACK) * BLOCK whole numbers. x and y do not overlap; threads may write parts of
   one y, each a multiple of STEP long. */
void filter_rows(const filter *f, const float *x, int64_t rows, int64_t begin, int64_t end, const float *gain,
                 const float *shift, const float *residual, float *y, double *moments, float *scratch) {
    const int C = f->channels, O = f->outputs, reach = (f->taps - 1) / 2 * f->dilation;
    const int64_t panel = (int64_t)16 * f->taps * C;
    uint8_t *bytes = (uint8_t *)(scratch + (int64_t)(STEP + SLACK + 2 * reach) * C);
    int32_t *products = (int32_t *)(bytes + (int64_t)(STEP + SLACK + 2 * reach) * C);
    memset(moments, 0, sizeof(double) * 2 * O);
    begin_tiles();
    for (int64_t from = begin; from < end; from += STEP) {
        const int64_t count = from + STEP < end ? STEP : end - from;
        const int64_t first = from > reach ? from - reach : 0;
        const int64_t last = from + count + reach < rows ? from + count + reach : rows;
        const int64_t before = first - (from - reach), inside = last - first;
        float range[2];
        bend(f, x + first * C, inside, gain, shift, scratch, range);
        const float scale = range[1] > range[0] ? (range[1] - range[0]) / TOP : 1.0f;
        const int zero = (int)lrintf(-range[0] / scale);
        memset(bytes, zero, (size_t)(STEP + SLACK + 2 * reach) * C); /* beyond the ends there is silence */
        to_bytes(scratch, inside * C, scale, zero, bytes + before * C);
        for (int o = 0; o < O; o += BLOCK) {
            for (int j = 0; j < BLOCK; j += 2 * LANES)
                for (int64_t t = 0; t < count; t += TILE)
                    tile(f, bytes + t * C, f->panels + (o + j) / 16 * panel, panel, products + t * BLOCK + j);
            finish(f, o, products, count, scale, zero, residual ? residual + from * O : NULL, y + from * O, moments);
        }
    }
    end_tiles();
    _mm_sfence(); /* what was written past the cache is there for other threads */
}

/* The last filter over x, rows begin to end of y, in floats: it gives logarithms of amplitudes, and phases. Its input is
   multiplied by `gain` and bent by a leaky ReLU; weights: [taps][channels][LAST], bias: [LAST], y: rows of LAST floats,
   scratch: (STEP + SLACK + taps - 1) * channels floats. */
void last_rows(const float *x, int64_t rows, int64_t begin, int64_t end, int32_t channels, int32_t taps, float gain,
               const float *weights, const float *bias, float *y, float *scratch) {
    enum { WIDE = LANES == 16 ? 2 : 3, HIGH = LANES == 16 ? 8 : 4 };
    const int C = channels, reach = (taps - 1) / 2;
    for (int64_t from = begin; from < end; from += STEP) {
        const int64_t count = from + STEP < end ? STEP : end - from;
        const int64_t first = from > reach ? from - reach : 0;
        const int64_t last = from + count + reach < rows ? from + count + reach : rows;
        float *bent = scratch + (first - (from - reach)) * C;
        memset(scratch, 0, sizeof(float) * (STEP + SLACK + 2 * reach) * C);
        for (int64_t i = 0; i < (last - first) * C; i += LANES) {
            _mm_prefetch((const char *)(x + first * C + i + SOON), _MM_HINT_T0);
            const floats v = F(mul)(F(loadu)(x + first * C + i), F(set1)(gain));
            F(storeu)(bent + i, F(max)(v, F(mul)(v, F(set1)(LAST_SLOPE))));
        }
        for (int64_t t = 0; t < count; t += HIGH) {
            floats sum[HIGH][WIDE];
            for (int r = 0; r < HIGH; r++)
                for (int j = 0; j < WIDE; j++) sum[r][j] = F(loadu)(bias + LANES * j);
            const float *weight = weights;
            for (int64_t i = 0; i < (int64_t)taps * C; i++, weight += LAST) {
                floats w[WIDE];
                for (int j = 0; j < WIDE; j++) w[j] = F(loadu)(weight + LANES * j);
#pragma GCC unroll 8
                for (int r = 0; r < HIGH; r++)
#pragma GCC unroll 3
                    for (int j = 0; j < WIDE; j++)
                        sum[r][j] = F(fmadd)(F(set1)(scratch[(t + r) * C + i]), w[j], sum[r][j]);
            }
            for (int r = 0; r < HIGH && t + r < count; r++)
                for (int j = 0; j < WIDE; j++) F(storeu)(y + (from + t + r) * LAST + LANES * j, sum[r][j]);
        }
    }
}
