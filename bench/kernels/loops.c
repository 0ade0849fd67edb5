/*
 * The kernels as plain loops, one chosen by its name, sizes by -D. A compiler judges what the generators of src/codegen
 * make; operands and results are globals, so that nothing aliases.
 */

#include <math.h>

extern const float operand0[], operand1[], operand2[], operand3[], operand4[];
extern float result0[], scratch[];

#if defined(LOOP_matmul)

void kernel(void) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int k = 0; k < K; k++) sum += operand0[i * K + k] * operand1[k * N + j];
      result0[i * N + j] = sum;
    }
}

#elif defined(LOOP_matmul_rows)

/* The same, a row of the second operand at a time. */
void kernel(void) {
  for (int i = 0; i < M; i++) {
    float *out = result0 + i * N;
    for (int j = 0; j < N; j++) out[j] = 0;
    for (int k = 0; k < K; k++) {
      const float x = operand0[i * K + k];
      for (int j = 0; j < N; j++) out[j] += x * operand1[k * N + j];
    }
  }
}

#elif defined(LOOP_linear)

/* A weight [out, in] and a bias. */
void kernel(void) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      float sum = operand1[j];
      for (int k = 0; k < K; k++) sum += operand0[i * K + k] * operand3[j * K + k];
      result0[i * N + j] = sum;
    }
}

#elif defined(LOOP_lora)

/* y + 4 (x A^T) B^T, A [R, K], B [N, R]. */
void kernel(void) {
  for (int i = 0; i < M; i++) {
    float low[R];
    for (int r = 0; r < R; r++) {
      float sum = 0;
      for (int k = 0; k < K; k++) sum += operand0[i * K + k] * operand2[r * K + k];
      low[r] = 4 * sum;
    }
    for (int j = 0; j < N; j++) {
      float sum = operand1[i * N + j];
      for (int r = 0; r < R; r++) sum += low[r] * operand3[j * R + r];
      result0[i * N + j] = sum;
    }
  }
}

#elif defined(LOOP_attention)

/* H heads, Q queries, S keys, D wide; causal where CAUSAL is 1. */
void kernel(void) {
  for (int h = 0; h < H; h++)
    for (int i = 0; i < Q; i++) {
      const float *q = operand0 + (h * Q + i) * D;
      const int keys = CAUSAL ? i + S - Q + 1 : S;
      float weights[S], top = -INFINITY, total = 0;
      for (int j = 0; j < keys; j++) {
        float sum = 0;
        for (int d = 0; d < D; d++) sum += q[d] * operand1[(h * S + j) * D + d];
        weights[j] = sum * 0.125f;
        top = fmaxf(top, weights[j]);
      }
      for (int j = 0; j < keys; j++) {
        weights[j] = expf(weights[j] - top);
        total += weights[j];
      }
      float *out = result0 + (h * Q + i) * D;
      for (int d = 0; d < D; d++) out[d] = 0;
      for (int j = 0; j < keys; j++) {
        const float share = weights[j] / total;
        for (int d = 0; d < D; d++) out[d] += share * operand2[(h * S + j) * D + d];
      }
    }
}

#elif defined(LOOP_sum)

/* R partial sums of N numbers. */
void kernel(void) {
  for (int j = 0; j < N; j++) {
    float sum = operand0[j];
    for (int r = 1; r < R; r++) sum += operand0[r * N + j];
    result0[j] = sum;
  }
}

#elif defined(LOOP_combine)

/* M tokens of N numbers, four experts. */
void kernel(void) {
  const float *const experts[] = {operand1, operand2, operand3, operand4};
  for (int t = 0; t < M; t++)
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int e = 0; e < 4; e++) {
        const float weight = operand0[t * 4 + e];
        if (weight != 0) sum += weight * experts[e][t * N + j];
      }
      result0[t * N + j] = sum;
    }
}

#elif defined(LOOP_router)

/* The softmax of E logits of M tokens, and the best K of them. */
void kernel(void) {
  for (int t = 0; t < M; t++) {
    const float *x = operand0 + t * E;
    float weights[E], top = -INFINITY, total = 0;
    for (int e = 0; e < E; e++) top = fmaxf(top, x[e]);
    for (int e = 0; e < E; e++) {
      weights[e] = expf(x[e] - top);
      total += weights[e];
    }
    for (int e = 0; e < E; e++) result0[t * E + e] = 0;
    for (int i = 0; i < K; i++) {
      int best = 0;
      for (int e = 1; e < E; e++)
        if (weights[e] > weights[best]) best = e;
      result0[t * E + best] = weights[best] / total;
      weights[best] = -1;
    }
  }
}

#endif
