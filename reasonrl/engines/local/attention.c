// Attention of a packed row of tokens over a cache of blocks, for one layer.
//
// Compiled for one shape of heads: KEY_SIZE, VALUE_SIZE, QUERIES (query heads for each key head), BF16 (0: float32).
// A block holds BLOCK tokens: its keys as [KEY_SIZE][BLOCK], so that a query meets BLOCK of them at once, its values as
// [BLOCK][VALUE_SIZE]. Everything that a token gets is computed by one loop over its own blocks, in their order, so it
// does not depend on what else is computed. Vectors are written out (gcc and clang have them), since compilers keep sums
// of such loops in memory.
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
enum { LANES = 16, MOST = 6 };
#else
enum { LANES = 8, MOST = 3 };
#endif
enum { BLOCK = 32, VECS = BLOCK / LANES, TILE = 4 };
enum { GROUP = QUERIES < MOST ? QUERIES : MOST };  // query heads whose sums fit into registers together
#define LOWEST -3.0e38f

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

#if BF16
typedef uint16_t number;
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
static inline vec load(const number *source) {
    halves x;
    memcpy(&x, source, sizeof x);
    return (vec)(__builtin_convertvector(x, words) << 16);
}
static inline float read_number(number x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline number to_number(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;  // NaN stays NaN
    return (number)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#else
typedef float number;
static inline vec load(const number *source) {
    vec x;
    memcpy(&x, source, sizeof x);
    return x;
}
static inline float read_number(number x) { return x; }
static inline number to_number(float value) { return value; }
#endif

static inline vec choose(ints where, vec yes, vec no) { return (vec)((where & (ints)yes) | (~where & (ints)no)); }
static inline vec all(float x) { return x - (vec){0}; }

// exp for x <= 0, within 2 units in the last place: 2^n times a polynomial on [-ln(2)/2, ln(2)/2].
static inline vec exp_negative(vec x) {
    x = choose(x < -87.0f, all(-87.0f), x);
    vec n = x * 1.44269504f + 12582912.0f;  // the nearest whole number, in the low bits
    ints whole = (ints)n;
    n -= 12582912.0f;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * (vec)((whole + 127) << 23);
}
static inline float exp_of(float x) { return exp_negative(all(x))[0]; }

static inline vec capped(vec x, float cap) {  // cap * tanh(x / cap)
    x = x / cap;
    ints minus = x < 0.0f;
    vec size = choose(minus, -x, x);
    vec e = exp_negative(-2.0f * size);
    vec t = (1.0f - e) / (1.0f + e);
    return cap * choose(minus, -t, t);
}

#if defined(__AVX512F__)
static const ints first_lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
static const ints first_lanes = {0, 1, 2, 3, 4, 5, 6, 7};
#endif
#define CLIPPED(g) ((g) < QUERIES ? (g) : QUERIES - 1)  // a last group that is not full computes one head again

// Sums and maxima in one fixed order.
static inline float sum_of(vec x) {
    float part[LANES];
    memcpy(part, &x, sizeof part);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int t = 0; t < half; t++) part[t] += part[t + half];
    return part[0];
}
static inline float largest(vec x) {
    float part[LANES];
    memcpy(part, &x, sizeof part);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int t = 0; t < half; t++) part[t] = part[t] > part[t + half] ? part[t] : part[t + half];
    return part[0];
}

typedef struct {
    const number *query, *key, *value;  // of the new tokens
    number *keys, *values, *out;        // [blocks][heads][KEY_SIZE][BLOCK], [blocks][heads][BLOCK][VALUE_SIZE], [N][..]
    const int32_t *tables;              // [sequences][width]
    const int32_t *sequence;            // [N]
    const int32_t *position;            // [N] in its sequence
    const int32_t *runs;                // [runs + 1] first token of each run of at most TILE neighbours
    int64_t query_token, query_head, key_token, key_head, value_token, value_head;  // strides
    int64_t tokens, run_count, width, heads, window;  // window 0: everything before
    float scale, cap;                                 // cap 0: none
    int32_t threads;
} Job;

// One token's query heads of one key head.
typedef struct {
    float query[KEY_SIZE][QUERIES], sum[QUERIES][VALUE_SIZE], weight[QUERIES][BLOCK], most[QUERIES], total[QUERIES];
    int64_t from, to;  // the places that it sees: from <= place < to
} Token;

static void append(const Job *job, int64_t token) {
    int64_t place = job->position[token];
    int64_t block = job->tables[job->sequence[token] * job->width + place / BLOCK], slot = place % BLOCK;
    for (int64_t head = 0; head < job->heads; head++) {
        const number *key = job->key + token * job->key_token + head * job->key_head;
        const number *value = job->value + token * job->value_token + head * job->value_head;
        number *keys = job->keys + (block * job->heads + head) * KEY_SIZE * BLOCK + slot;
        number *values = job->values + ((block * job->heads + head) * BLOCK + slot) * VALUE_SIZE;
        for (int d = 0; d < KEY_SIZE; d++) keys[d * BLOCK] = key[d];
        memcpy(values, value, VALUE_SIZE * sizeof(number));
    }
}

static inline void begin(const Job *job, Token *one, int64_t token, int64_t head) {
    int64_t place = job->position[token];
    const number *source = job->query + token * job->query_token + head * QUERIES * job->query_head;
    for (int g = 0; g < QUERIES; g++)
        for (int d = 0; d < KEY_SIZE; d++) one->query[d][g] = read_number(source[g * job->query_head + d]) * job->scale;
    one->to = place + 1;
    one->from = job->window && place + 1 > job->window ? place + 1 - job->window : 0;
    memset(one->sum, 0, sizeof one->sum);
    for (int g = 0; g < QUERIES; g++) one->most[g] = LOWEST, one->total[g] = 0;
}

// The weights of a block's tokens, by online softmax; what was summed before shrinks.
static inline void weigh(const Job *job, Token *one, const number *keys, int64_t start) {
    int32_t low = (int32_t)(one->from - start), high = (int32_t)(one->to - start);
    for (int base = 0; base < QUERIES; base += GROUP) {
        vec score[GROUP][VECS];
        for (int g = 0; g < GROUP; g++)
            for (int h = 0; h < VECS; h++) score[g][h] = (vec){0};
        for (int d = 0; d < KEY_SIZE; d++)
#pragma GCC unroll 4
            for (int h = 0; h < VECS; h++) {
                vec key = load(keys + d * BLOCK + h * LANES);
#pragma GCC unroll 8
                for (int g = 0; g < GROUP; g++) score[g][h] += one->query[d][CLIPPED(base + g)] * key;
            }
        for (int g = base; g < base + GROUP && g < QUERIES; g++) {
            vec part[VECS], highest = all(LOWEST), total = {0};
            for (int h = 0; h < VECS; h++) {
                part[h] = score[g - base][h];
                if (job->cap > 0) part[h] = capped(part[h], job->cap);
                ints place = first_lanes + h * LANES;
                part[h] = choose((place >= low) & (place < high), part[h], all(LOWEST));  // others hold anything
                highest = choose(part[h] > highest, part[h], highest);
            }
            float top = largest(highest);
            top = top > one->most[g] ? top : one->most[g];
            float shrink = exp_of(one->most[g] - top);
            one->most[g] = top;
            for (int h = 0; h < VECS; h++) {
                part[h] = choose(part[h] > LOWEST, exp_negative(part[h] - top), (vec){0});
                total += part[h];
            }
            memcpy(one->weight[g], part, sizeof part);
            one->total[g] = one->total[g] * shrink + sum_of(total);
            for (int d = 0; d < VALUE_SIZE; d++) one->sum[g][d] *= shrink;
        }
    }
}

static inline void add_values(Token *one, const number *values, int64_t filled) {
#if VALUE_SIZE % 32 == 0
    for (int base = 0; base < QUERIES; base += GROUP)
        for (int from = 0; from < VALUE_SIZE; from += VECS * LANES) {
            vec sum[GROUP][VECS];
            for (int g = 0; g < GROUP; g++) memcpy(sum[g], one->sum[CLIPPED(base + g)] + from, sizeof sum[g]);
            for (int64_t t = 0; t < filled; t++)
#pragma GCC unroll 4
                for (int h = 0; h < VECS; h++) {
                    vec value = load(values + t * VALUE_SIZE + from + h * LANES);
#pragma GCC unroll 8
                    for (int g = 0; g < GROUP; g++) sum[g][h] += one->weight[CLIPPED(base + g)][t] * value;
                }
            for (int g = 0; g < GROUP && base + g < QUERIES; g++) memcpy(one->sum[base + g] + from, sum[g], sizeof sum[g]);
        }
#else
    for (int64_t t = 0; t < filled; t++)
        for (int g = 0; g < QUERIES; g++)
            for (int d = 0; d < VALUE_SIZE; d++)
                one->sum[g][d] += one->weight[g][t] * read_number(values[t * VALUE_SIZE + d]);
#endif
}

// The query heads of one key head, for the neighbouring tokens of a run.
static void attend(const Job *job, int64_t run, int64_t head) {
    int64_t first = job->runs[run], count = job->runs[run + 1] - first;
    const int32_t *table = job->tables + job->sequence[first] * job->width;
    Token tokens[TILE];
    for (int64_t i = 0; i < count; i++) begin(job, tokens + i, first + i, head);
    int64_t from = job->window ? tokens[0].from : 0, to = (int64_t)job->position[first + count - 1] + 1;
    for (int64_t start = from / BLOCK * BLOCK; start < to; start += BLOCK) {
        int64_t place = ((int64_t)table[start / BLOCK] * job->heads + head) * BLOCK;
        for (int64_t i = 0; i < count; i++) {
            Token *one = tokens + i;
            if (start >= one->to || start + BLOCK <= one->from) continue;
            weigh(job, one, job->keys + place * KEY_SIZE, start);
            add_values(one, job->values + place * VALUE_SIZE, one->to - start < BLOCK ? one->to - start : BLOCK);
        }
    }
    for (int64_t i = 0; i < count; i++)
        for (int g = 0; g < QUERIES; g++) {
            number *out = job->out + ((first + i) * job->heads * QUERIES + head * QUERIES + g) * VALUE_SIZE;
            float scale = 1.0f / tokens[i].total[g];
            for (int d = 0; d < VALUE_SIZE; d++) out[d] = to_number(tokens[i].sum[g][d] * scale);
        }
}

void attend_to_cache(const Job *job) {
    int64_t units = job->run_count * job->heads;
#pragma omp parallel num_threads(job->threads) if (job->threads > 1)
    {
#pragma omp for schedule(static)
        for (int64_t token = 0; token < job->tokens; token++) append(job, token);
#pragma omp for schedule(dynamic, 4)
        for (int64_t unit = 0; unit < units; unit++) attend(job, unit / job->heads, unit % job->heads);
    }
}
