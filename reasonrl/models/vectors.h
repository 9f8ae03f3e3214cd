// Vectors of float32, and numbers in memory as float32 or bfloat16 (BF16: 1). Vectors are written out (gcc and clang have
// them), since compilers keep sums of such loops in memory.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
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

#if BF16
static inline vec rounded(vec x) {
    words bits = (words)x;
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
    return choose(x == x, (vec)bits, x);
}
static inline void store(number *target, vec x) {  // of rounded numbers
    halves upper = __builtin_convertvector((words)x >> 16, halves);
    memcpy(target, &upper, sizeof upper);
}
#else
static inline vec rounded(vec x) { return x; }
static inline void store(number *target, vec x) { memcpy(target, &x, sizeof x); }
#endif

// The last numbers of a row may be fewer than a vector has; the others are 0.
static inline vec load_some(const number *source, int64_t count) {
    if (count >= LANES) return load(source);
    number part[LANES] = {0};
    memcpy(part, source, count * sizeof(number));
    return load(part);
}
static inline void store_some(number *target, vec x, int64_t count) {
    if (count >= LANES) {
        store(target, x);
        return;
    }
    number part[LANES];
    store(part, x);
    memcpy(target, part, count * sizeof(number));
}

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

#if defined(__AVX512F__)
static const ints first_lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
static const ints first_lanes = {0, 1, 2, 3, 4, 5, 6, 7};
#endif

// Logits at a temperature. Behind the end of their row they are -infinity.
static inline vec scaled(const number *logits, int64_t count, float temperature) {
    vec x = load_some(logits, count) / temperature;
    return count >= LANES ? x : choose(first_lanes < (int32_t)count, x, all(-INFINITY));
}

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
