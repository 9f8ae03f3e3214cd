// The log-softmax of rows of logits, and its gradient written over them. A row is read from memory once in each pass and
// is computed by itself, in one order. Sums are float32 over PART vectors and float64 above.
#include "vectors.h"

enum { PART = 64 };

static inline vec probability(vec log_p) { return choose(log_p == -INFINITY, (vec){0}, exp_negative(log_p)); }

// Of what a probability of 0 is multiplied with.
static inline vec limited(vec log_p) { return choose(log_p < LOWEST, all(LOWEST), log_p); }

// log sum exp of each row of logits / temperature, and the entropy of its distribution in nats.
void normalise(const number *logits, float *normaliser, float *entropy, int64_t rows, int64_t size, float temperature,
               int32_t threads) {
#pragma omp parallel for num_threads(threads) if (rows > 1)
    for (int64_t row = 0; row < rows; row++) {
        const number *z = logits + row * size;
        vec highest = all(-INFINITY);
        for (int64_t d = 0; d < size; d += LANES) {
            vec x = scaled(z + d, size - d, temperature);
            highest = choose(x > highest, x, highest);
        }
        float top = largest(highest);
        double total = 0, weighted = 0;
        for (int64_t from = 0; from < size; from += PART * LANES) {
            vec sum = {0}, weighted_sum = {0};
            for (int64_t d = from; d < from + PART * LANES && d < size; d += LANES) {
                vec below = scaled(z + d, size - d, temperature) - top, weight = probability(below);
                sum += weight;
                weighted_sum += weight * limited(below);
            }
            total += sum_of(sum);
            weighted += sum_of(weighted_sum);
        }
        normaliser[row] = (float)(top + log(total));
        entropy[row] = (float)(log(total) - weighted / total);
    }
}

// The logits z of each row become -p (pull + pull_entropy (log p + entropy)) / temperature, with p their softmax.
void softmax_gradient(number *logits, const float *normaliser, const float *pull, const float *entropy,
                      const float *pull_entropy, int64_t rows, int64_t size, float temperature, int32_t threads) {
#pragma omp parallel for num_threads(threads) if (rows > 1)
    for (int64_t row = 0; row < rows; row++) {
        number *z = logits + row * size;
        float by_entropy = -pull_entropy[row] / temperature;
        float by_all = -pull[row] / temperature + by_entropy * entropy[row];
        for (int64_t d = 0; d < size; d += LANES) {
            vec log_p = scaled(z + d, size - d, temperature) - normaliser[row];
            store_some(z + d, rounded(probability(log_p) * (by_all + by_entropy * limited(log_p))), size - d);
        }
    }
}
