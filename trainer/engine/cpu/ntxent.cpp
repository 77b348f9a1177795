// NT-Xent by blocks of rows: similarities of block_rows anchors with all rows at a time, so that memory is
// linear in the number of rows. Arithmetic is contrastive/ntxent.go's.
#include <algorithm>
#include <cmath>

#include "shim.h"

namespace {
const float smallest = 1e-12f;

float norm(const float *z, long d) {
  double s = 0;
  for (long k = 0; k < d; k++) s += (double)z[k] * z[k];
  return std::max((float)std::sqrt(s), smallest);
}

void unit(long rows, long d, const float *z, float *u) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < rows; i++) {
    const float r = 1 / norm(z + i * d, d);
    for (long k = 0; k < d; k++) u[i * d + k] = z[i * d + k] * r;
  }
}

// turns the similarities of anchors first… into probabilities, 0 for the anchor itself, and returns the
// sum of −log of their positives'
double softmax(long rows, long first, long count, float temperature, float *block) {
  double loss = 0;
#pragma omp parallel for schedule(static) ordered
  for (long r = 0; r < count; r++) {
    float *p = block + r * rows;
    const long self = first + r, positive = (self + rows / 2) % rows;
    p[self] = -2; // below every similarity
    float top = p[0];
    for (long j = 1; j < rows; j++) top = std::max(top, p[j]);
    const float logit = (p[positive] - top) / temperature;
    double sum = 0;
    for (long j = 0; j < rows; j++) {
      p[j] = j == self ? 0 : std::exp((p[j] - top) / temperature);
      sum += p[j];
    }
    const float scale = 1 / sum;
    for (long j = 0; j < rows; j++) p[j] *= scale;
#pragma omp ordered
    loss += std::log(sum) - logit;
  }
  return loss;
}
} // namespace

extern "C" {
int ntxent(long rows, long d, float temperature, const float *z, float *u, long block_rows, float *block, double *loss) {
  unit(rows, d, z, u);
  *loss = 0;
  for (long i = 0; i < rows; i += block_rows) {
    const long n = std::min(block_rows, rows - i);
    if (gemm(0, 1, n, rows, d, u + i * d, u, 0, block)) return 1;
    *loss += softmax(rows, i, n, temperature, block);
  }
  *loss /= rows;
  return 0;
}

int ntxent_grad(long rows, long d, float temperature, float dloss, const float *z, float *u, long block_rows, float *block, float *dz) {
  unit(rows, d, z, u);
  std::fill(dz, dz + rows * d, 0.f);
  for (long i = 0; i < rows; i += block_rows) {
    const long n = std::min(block_rows, rows - i);
    if (gemm(0, 1, n, rows, d, u + i * d, u, 0, block)) return 1;
    softmax(rows, i, n, temperature, block);
    for (long r = 0; r < n; r++) block[r * rows + (i + r + rows / 2) % rows] -= 1;
    // each row as an anchor, and as the positive or a negative of these anchors
    if (gemm(0, 0, n, d, rows, block, u, 1, dz + i * d)) return 1;
    if (gemm(1, 0, rows, d, n, block, u + i * d, 1, dz)) return 1;
  }
  const float scale = dloss / (temperature * rows);
#pragma omp parallel for schedule(static)
  for (long i = 0; i < rows; i++) { // through u = z/‖z‖
    float *g = dz + i * d;
    const float *row = u + i * d;
    double along = 0;
    for (long k = 0; k < d; k++) along += (double)g[k] * row[k];
    const float r = scale / norm(z + i * d, d);
    for (long k = 0; k < d; k++) g[k] = (g[k] - (float)along * row[k]) * r;
  }
  return 0;
}

int contrastive_accuracy(long rows, long d, const float *z, float *u, long block_rows, float *block, float *accuracy) {
  unit(rows, d, z, u);
  const long n = rows / 2;
  long right = 0;
  for (long i = 0; i < n; i += block_rows) {
    const long count = std::min(block_rows, n - i);
    if (gemm(0, 1, count, n, d, u + i * d, u + n * d, 0, block)) return 1;
#pragma omp parallel for schedule(static) reduction(+ : right)
    for (long r = 0; r < count; r++) right += std::max_element(block + r * n, block + (r + 1) * n) - (block + r * n) == i + r;
  }
  *accuracy = (float)right / n;
  return 0;
}
}
