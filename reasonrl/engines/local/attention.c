// Attention of a packed row of tokens over a cache of blocks, for one layer.
//
// Compiled for one shape of heads: KEY_SIZE, VALUE_SIZE, QUERIES (query heads for each key head), BF16 (0: float32).
// A block holds BLOCK tokens: its keys as [KEY_SIZE][BLOCK], so that a query meets BLOCK of them at once, its values as
// [BLOCK][VALUE_SIZE]. Everything that a token gets is computed by one loop over its own blocks, in their order, so it
// does not depend on what else is computed.
#include "vectors.h"

#ifdef __AVX512F__
enum { MOST = 6 };
#else
enum { MOST = 3 };
#endif
enum { BLOCK = 32, VECS = BLOCK / LANES, TILE = 4, FEW = 64 };
enum { MANY = 4 };  // single tokens for each thread: enough work for all threads when heads are not shared out
enum { GROUP = QUERIES < MOST ? QUERIES : MOST };  // query heads whose sums fit into registers together

static inline vec capped(vec x, float cap) {  // cap * tanh(x / cap)
    x = x / cap;
    ints minus = x < 0.0f;
    vec size = choose(minus, -x, x);
    vec e = exp_negative(-2.0f * size);
    vec t = (1.0f - e) / (1.0f + e);
    return cap * choose(minus, -t, t);
}

#define CLIPPED(g) ((g) < QUERIES ? (g) : QUERIES - 1)  // a last group that is not full computes one head again

typedef struct {
    const number *query, *key, *value;  // of the new tokens
    number *keys, *values, *out;        // [blocks][heads][KEY_SIZE][BLOCK], [blocks][heads][BLOCK][VALUE_SIZE], [N][..]
    const int32_t *tables;              // [sequences][width]
    const int32_t *sequence;            // [N]
    const int32_t *position;            // [N] in its sequence
    const int32_t *runs;                // [runs + 1] first token of each run of at most TILE neighbours
    const int32_t *copies;              // [copies][4] from which block to which, first place and end
    int64_t query_token, query_head, key_token, key_head, value_token, value_head;  // strides
    int64_t tokens, run_count, copy_count, width, heads, window;  // window 0: everything before
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

// Places of one head from a block to another.
static void copy(const Job *job, int64_t number_of_copy, int64_t head) {
    const int32_t *one = job->copies + 4 * number_of_copy;
    int64_t from = one[0] * job->heads + head, to = one[1] * job->heads + head, first = one[2], count = one[3] - one[2];
    const number *keys = job->keys + from * KEY_SIZE * BLOCK + first, *values = job->values + (from * BLOCK + first) * VALUE_SIZE;
    number *new_keys = job->keys + to * KEY_SIZE * BLOCK + first;
    for (int d = 0; d < KEY_SIZE; d++) memcpy(new_keys + d * BLOCK, keys + d * BLOCK, count * sizeof(number));
    memcpy(job->values + (to * BLOCK + first) * VALUE_SIZE, values, count * VALUE_SIZE * sizeof(number));
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

// Memory that is needed soon: blocks of a sequence lie anywhere, so the processor does not guess the next.
static inline void fetch(const number *next, int count) {
    for (int byte = 0; byte < count * (int)sizeof(number); byte += 64) __builtin_prefetch((const char *)next + byte, 0, 2);
}

// The weights of a block's tokens, by online softmax; what was summed before shrinks.
static inline void weigh(const Job *job, Token *one, const number *keys, const number *next, int64_t start) {
    int32_t low = (int32_t)(one->from - start), high = (int32_t)(one->to - start);
    for (int base = 0; base < QUERIES; base += GROUP) {
        vec score[GROUP][VECS];
        for (int g = 0; g < GROUP; g++)
            for (int h = 0; h < VECS; h++) score[g][h] = (vec){0};
        for (int d = 0; d < KEY_SIZE; d++) {
            if (base == 0) fetch(next + d * BLOCK, BLOCK);
#pragma GCC unroll 4
            for (int h = 0; h < VECS; h++) {
                vec key = load(keys + d * BLOCK + h * LANES);
#pragma GCC unroll 8
                for (int g = 0; g < GROUP; g++) score[g][h] += one->query[d][CLIPPED(base + g)] * key;
            }
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

static inline void add_values(Token *one, const number *values, const number *next, int64_t filled) {
#if VALUE_SIZE % 32 == 0
    for (int base = 0; base < QUERIES; base += GROUP)
        for (int from = 0; from < VALUE_SIZE; from += VECS * LANES) {
            vec sum[GROUP][VECS];
            for (int g = 0; g < GROUP; g++) memcpy(sum[g], one->sum[CLIPPED(base + g)] + from, sizeof sum[g]);
            for (int64_t t = 0; t < filled; t++) {
                if (base == 0) fetch(next + t * VALUE_SIZE + from, VECS * LANES);
#pragma GCC unroll 4
                for (int h = 0; h < VECS; h++) {
                    vec value = load(values + t * VALUE_SIZE + from + h * LANES);
#pragma GCC unroll 8
                    for (int g = 0; g < GROUP; g++) sum[g][h] += one->weight[CLIPPED(base + g)][t] * value;
                }
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

static inline int64_t place_of(const Job *job, const int32_t *table, int64_t start, int64_t head) {
    return ((int64_t)table[start / BLOCK] * job->heads + head) * BLOCK;
}

// The query heads of one key head for the neighbouring tokens of a run; or of several key heads for a single token, which
// reads a block from its beginning to its end.
static void attend(const Job *job, int64_t run, int64_t head, int64_t heads) {
    int64_t first = job->runs[run], length = job->runs[run + 1] - first, count = length * heads;
    const int32_t *table = job->tables + job->sequence[first] * job->width;
    Token tokens[TILE];
    for (int64_t i = 0; i < count; i++) begin(job, tokens + i, first + i / heads, head + i % heads);
    int64_t from = job->window ? tokens[0].from : 0, to = (int64_t)job->position[first + length - 1] + 1;
    for (int64_t start = from / BLOCK * BLOCK; start < to; start += BLOCK)
        for (int64_t i = 0; i < count; i++) {
            Token *one = tokens + i;
            if (start >= one->to || start + BLOCK <= one->from) continue;
            int64_t place = place_of(job, table, start, head + i % heads), next = place;
            if (i % heads + 1 < heads) next = place + BLOCK;
            else if (start + BLOCK < to) next = place_of(job, table, start + BLOCK, head);
            weigh(job, one, job->keys + place * KEY_SIZE, job->keys + next * KEY_SIZE, start);
            add_values(one, job->values + place * VALUE_SIZE, job->values + next * VALUE_SIZE,
                       one->to - start < BLOCK ? one->to - start : BLOCK);
        }
    for (int64_t i = 0; i < count; i++)
        for (int g = 0; g < QUERIES; g++) {
            int64_t query_head = (head + i % heads) * QUERIES + g;
            number *out = job->out + ((first + i / heads) * job->heads * QUERIES + query_head) * VALUE_SIZE;
            float scale = 1.0f / tokens[i].total[g];
            for (int d = 0; d < VALUE_SIZE; d++) out[d] = to_number(tokens[i].sum[g][d] * scale);
        }
}

void attend_to_cache(const Job *job) {
    int are_single = job->run_count == job->tokens && job->tokens >= MANY * job->threads;
    int64_t heads = !are_single ? 1 : job->heads < TILE ? job->heads : TILE;
    int64_t parts = (job->heads + heads - 1) / heads, units = job->run_count * parts, share = are_single ? 1 : 4;
    int few = job->tokens <= FEW;  // then to wait for each other would cost more
    for (int64_t token = 0; few && token < job->tokens; token++) append(job, token);
#pragma omp parallel num_threads(job->threads) if (job->threads > 1)
    {
        if (!few) {
#pragma omp for schedule(static)
            for (int64_t token = 0; token < job->tokens; token++) append(job, token);
        }
        if (job->copy_count) {
#pragma omp for schedule(static)
            for (int64_t unit = 0; unit < job->copy_count * job->heads; unit++) copy(job, unit / job->heads, unit % job->heads);
        }
#pragma omp for schedule(dynamic, share)
        for (int64_t unit = 0; unit < units; unit++) {
            int64_t head = unit % parts * heads;
            attend(job, unit / parts, head, head + heads < job->heads ? heads : job->heads - head);
        }
    }
}
