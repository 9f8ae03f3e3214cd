// Attention of a packed row of tokens over a cache of blocks, for one layer.
//
// Compiled for one shape of heads: KEY_SIZE, VALUE_SIZE, QUERIES (query heads for each key head), BF16 (0: float32).
// A block holds BLOCK tokens: its keys as [KEY_SIZE][BLOCK], so that a query meets BLOCK of them at once, its values as
// [BLOCK][VALUE_SIZE]. Everything that a token gets is computed by one loop over its own blocks, in their order, so it
// does not depend on what else is computed.
#include <stdint.h>
#include <string.h>

enum { BLOCK = 32, TILE = 4 };
#define LOWEST -3.0e38f

#if BF16
typedef uint16_t number;
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
static inline float read_number(number x) { return x; }
static inline number to_number(float value) { return value; }
#endif

// exp for x <= 0, within 2 units in the last place: 2^n times a polynomial on [-ln(2)/2, ln(2)/2].
static inline float exp_negative(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = x * 1.44269504f + 12582912.0f;  // the nearest whole number, in the low bits
    int32_t whole;
    memcpy(&whole, &n, 4);
    n -= 12582912.0f;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = (int32_t)((uint32_t)(whole + 127) << 23);
    float scale;
    memcpy(&scale, &bits, 4);
    return p * scale;
}

static inline float tanh_of(float x) {  // of a score that is capped
    float size = x < 0 ? -x : x;
    float e = exp_negative(-2.0f * size);
    float t = (1.0f - e) / (1.0f + e);
    return x < 0 ? -t : t;
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

// Sums and maxima over a block in one fixed order, whatever the compiler makes of it.
static inline float sum_of(const float *x) {
    float part[BLOCK];
    memcpy(part, x, sizeof part);
    for (int half = BLOCK / 2; half > 0; half /= 2)
        for (int t = 0; t < half; t++) part[t] += part[t + half];
    return part[0];
}
static inline float largest(const float *x) {
    float part[BLOCK];
    memcpy(part, x, sizeof part);
    for (int half = BLOCK / 2; half > 0; half /= 2)
        for (int t = 0; t < half; t++) part[t] = part[t] > part[t + half] ? part[t] : part[t + half];
    return part[0];
}

// The query heads of one key head, for the neighbouring tokens of a run. Online softmax over the blocks.
static void attend(const Job *job, int64_t run, int64_t head) {
    int64_t first = job->runs[run], count = job->runs[run + 1] - first;
    const int32_t *table = job->tables + job->sequence[first] * job->width;
    float query[TILE][KEY_SIZE][QUERIES], sum[TILE][QUERIES][VALUE_SIZE], weight[TILE][QUERIES][BLOCK];
    float most[TILE][QUERIES], total[TILE][QUERIES];
    int64_t from[TILE], to[TILE];  // the places that a token sees: from <= place < to
    for (int64_t i = 0; i < count; i++) {
        int64_t token = first + i, place = job->position[token];
        const number *source = job->query + token * job->query_token + head * QUERIES * job->query_head;
        for (int g = 0; g < QUERIES; g++)
            for (int d = 0; d < KEY_SIZE; d++)
                query[i][d][g] = read_number(source[g * job->query_head + d]) * job->scale;
        to[i] = place + 1;
        from[i] = job->window && place + 1 > job->window ? place + 1 - job->window : 0;
        memset(sum[i], 0, sizeof sum[i]);
        for (int g = 0; g < QUERIES; g++) most[i][g] = LOWEST, total[i][g] = 0;
    }
    for (int64_t start = from[0] / BLOCK * BLOCK; start < to[count - 1]; start += BLOCK) {
        int64_t block = table[start / BLOCK];
        const number *keys = job->keys + (block * job->heads + head) * KEY_SIZE * BLOCK;
        const number *values = job->values + (block * job->heads + head) * BLOCK * VALUE_SIZE;
        float key[KEY_SIZE][BLOCK];
        for (int d = 0; d < KEY_SIZE; d++)
            for (int t = 0; t < BLOCK; t++) key[d][t] = read_number(keys[d * BLOCK + t]);
        for (int64_t i = 0; i < count; i++) {
            float score[QUERIES][BLOCK] = {{0}};
            for (int d = 0; d < KEY_SIZE; d++)
                for (int g = 0; g < QUERIES; g++)
                    for (int t = 0; t < BLOCK; t++) score[g][t] += query[i][d][g] * key[d][t];
            int32_t low = (int32_t)(from[i] - start), high = (int32_t)(to[i] - start);
            for (int g = 0; g < QUERIES; g++) {
                float *s = score[g], *p = weight[i][g];
                if (job->cap > 0)
                    for (int t = 0; t < BLOCK; t++) s[t] = job->cap * tanh_of(s[t] / job->cap);
                for (int t = 0; t < BLOCK; t++) s[t] = t >= low && t < high ? s[t] : LOWEST;  // unused places hold anything
                float top = largest(s);
                top = top > most[i][g] ? top : most[i][g];
                float shrink = exp_negative(most[i][g] - top);
                most[i][g] = top;
                for (int t = 0; t < BLOCK; t++) p[t] = s[t] > LOWEST ? exp_negative(s[t] - top) : 0.0f;
                total[i][g] = total[i][g] * shrink + sum_of(p);
                for (int d = 0; d < VALUE_SIZE; d++) sum[i][g][d] *= shrink;
            }
        }
        int64_t filled = to[count - 1] - start < BLOCK ? to[count - 1] - start : BLOCK;
        for (int64_t t = 0; t < filled; t++) {
            float value[VALUE_SIZE];
            for (int d = 0; d < VALUE_SIZE; d++) value[d] = read_number(values[t * VALUE_SIZE + d]);
            for (int64_t i = 0; i < count; i++)
                for (int g = 0; g < QUERIES; g++) {
                    float w = weight[i][g][t];
                    for (int d = 0; d < VALUE_SIZE; d++) sum[i][g][d] += w * value[d];
                }
        }
    }
    for (int64_t i = 0; i < count; i++)
        for (int g = 0; g < QUERIES; g++) {
            number *out = job->out + ((first + i) * job->heads * QUERIES + head * QUERIES + g) * VALUE_SIZE;
            float scale = 1.0f / total[i][g];
            for (int d = 0; d < VALUE_SIZE; d++) out[d] = to_number(sum[i][g][d] * scale);
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
