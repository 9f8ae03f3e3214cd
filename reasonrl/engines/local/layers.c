// What stands between the matrix products of a decoder layer: sums, norms, rotations, gates; and the draw of a token. A
// row is computed by itself, in one order. Where a model in bfloat16 rounds, it is rounded here too.
#include "vectors.h"

enum { SMALL = 200000 };  // numbers below which a second thread costs more than it does

static inline float norm_of(const number *row, int64_t size, float epsilon) {
    vec squares = {0};
    for (int64_t d = 0; d < size; d += LANES) {
        vec x = load_some(row + d, size - d);
        squares += x * x;
    }
    return 1.0f / sqrtf(sum_of(squares) / (float)size + epsilon);
}

// hidden += delta (if there is one); out = weight * hidden / rms(hidden).
void add_and_norm(number *hidden, const number *delta, const number *weight, number *out, int64_t rows, int64_t size,
                  float epsilon, int32_t threads) {
#pragma omp parallel for num_threads(threads) if (rows * size > SMALL)
    for (int64_t row = 0; row < rows; row++) {
        number *h = hidden + row * size;
        if (delta)
            for (int64_t d = 0; d < size; d += LANES)
                store_some(h + d, rounded(load_some(h + d, size - d) + load_some(delta + row * size + d, size - d)),
                           size - d);
        float scale = norm_of(h, size, epsilon);
        for (int64_t d = 0; d < size; d += LANES) {
            vec x = rounded(load_some(h + d, size - d) * scale);
            store_some(out + row * size + d, rounded(load_some(weight + d, size - d) * x), size - d);
        }
    }
}

static inline void rotate_head(number *x, const number *cosine, const number *sine, const number *weight, int64_t size,
                               float epsilon) {
    int64_t half = size / 2;
    if (weight) {
        float scale = norm_of(x, size, epsilon);
        for (int64_t d = 0; d < size; d += LANES)
            store_some(x + d, rounded(load_some(weight + d, size - d) * rounded(load_some(x + d, size - d) * scale)),
                       size - d);
    }
    for (int64_t d = 0; d < half; d += LANES) {
        int64_t count = half - d;
        vec first = load_some(x + d, count), second = load_some(x + half + d, count);
        vec a = rounded(first * load_some(cosine + d, count)), b = rounded(second * load_some(sine + d, count));
        vec c = rounded(second * load_some(cosine + half + d, count));
        vec e = rounded(first * load_some(sine + half + d, count));
        store_some(x + d, rounded(a - b), count);
        store_some(x + half + d, rounded(c + e), count);
    }
}

// Rotates by place the query heads and after them the key heads of each row, in place; with weights each head is
// normed before.
void rotate(number *rows, const number *cosine, const number *sine, const number *query_weight,
            const number *key_weight, int64_t count, int64_t stride, int64_t query_heads, int64_t key_heads,
            int64_t size, float epsilon, int32_t threads) {
#pragma omp parallel for num_threads(threads) if (count * stride > SMALL)
    for (int64_t row = 0; row < count; row++)
        for (int64_t head = 0; head < query_heads + key_heads; head++)
            rotate_head(rows + row * stride + head * size, cosine + row * size, sine + row * size,
                        head < query_heads ? query_weight : key_weight, size, epsilon);
}

// out = silu(first half of a row) * second half.
void gate(const number *both, number *out, int64_t rows, int64_t size, int32_t threads) {
#pragma omp parallel for num_threads(threads) if (rows * size > SMALL)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t d = 0; d < size; d += LANES) {
            int64_t count = size - d;
            vec x = load_some(both + row * 2 * size + d, count), other = load_some(both + (row * 2 + 1) * size + d, count);
            ints minus = x < 0.0f;
            vec e = exp_negative(choose(minus, x, -x));
            vec gated = rounded(x * choose(minus, e, all(1.0f)) / (1.0f + e));
            store_some(out + row * size + d, rounded(gated * other), count);
        }
}

enum { PIECES = 1024 };  // of a distribution, each summed before the token is looked for in one of them

static int64_t draw_one(const number *logits, double noise, int64_t size, int is_greedy, float temperature, float *logprob) {
    vec highest = all(-INFINITY);
    for (int64_t d = 0; d < size; d += LANES) {
        vec x = scaled(logits + d, size - d, temperature);
        highest = choose(x > highest, x, highest);
    }
    float top = largest(highest);
    int64_t piece = (size / PIECES / LANES + 1) * LANES;
    double sums[PIECES + 1], total = 0;
    for (int64_t from = 0; from < size; from += piece) {
        vec sum = {0};
        for (int64_t d = from; d < from + piece && d < size; d += LANES) {
            vec x = scaled(logits + d, size - d, temperature);
            sum += choose(x == -INFINITY, (vec){0}, exp_negative(x - top));
        }
        total += sums[from / piece] = sum_of(sum);
    }
    double point = noise * total, before = 0;
    int64_t from = 0, token = -1, last = 0;
    while (!is_greedy && from + piece < size && !(before + sums[from / piece] > point)) {
        before += sums[from / piece];
        from += piece;
    }
    for (int64_t d = from; token < 0 && d < size && (is_greedy || d < from + piece); d += LANES) {
        vec x = scaled(logits + d, size - d, temperature);
        vec weight = exp_negative(x - top);
        for (int lane = 0; lane < LANES && d + lane < size; lane++) {
            if (is_greedy ? x[lane] == top : x[lane] > -INFINITY) {
                before += weight[lane];
                last = d + lane;
                if (is_greedy || before > point) {
                    token = last;
                    break;
                }
            }
        }
    }
    if (token < 0) token = last;  // sums of other orders may end a last bit below
    *logprob = (float)((double)(read_number(logits[token]) / temperature - top) - log(total));
    return token;
}

// A token for each row by inverting its cumulative distribution at a number of its noise, which lies in [0, 1), and the
// token's log-prob. Temperature 0: the likeliest token, with its log-prob at temperature 1.
void draw(const number *logits, const double *noise, int64_t *tokens, float *logprobs, int64_t rows, int64_t size,
          float temperature, int32_t threads) {
#pragma omp parallel for num_threads(threads) if (rows > 1)
    for (int64_t row = 0; row < rows; row++)
        tokens[row] = draw_one(logits + row * size, noise[row], size, temperature == 0,
                               temperature == 0 ? 1 : temperature, logprobs + row);
}
