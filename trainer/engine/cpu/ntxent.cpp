// NT-Xent by blocks of rows: similarities of block_rows anchors with all rows at a time, so that memory is
// linear in the number of rows. Arithmetic is contrastive/ntxent.go's.
#include <algorithm>
#include <cmath>
#include <vector>

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

// the gradient by z from the one by u = z/‖z‖
void through_norm(long rows, long d, float scale, const float *z, const float *u, float *dz) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < rows; i++) {
    float *g = dz + i * d;
    const float *row = u + i * d;
    double along = 0;
    for (long k = 0; k < d; k++) along += (double)g[k] * row[k];
    const float r = scale / norm(z + i * d, d);
    for (long k = 0; k < d; k++) g[k] = (g[k] - (float)along * row[k]) * r;
  }
}
} // namespace

extern "C" int ntxent(long rows, long d, float temperature, const float *z, float *u, long block_rows, float *block, double *loss,
                      double *accuracy, float dloss, float *dz) {
  unit(rows, d, z, u);
  std::vector<double> losses(block_rows);
  std::vector<int> right(block_rows);
  double sum = 0;
  long rights = 0;
  if (dz) std::fill(dz, dz + rows * d, 0.f);
  for (long i = 0; i < rows; i += block_rows) {
    const long n = std::min(block_rows, rows - i);
    if (gemm(0, 1, n, rows, d, u + i * d, u, 0, block)) return 1;
    softmax_rows(rows, i, n, temperature, block, losses.data(), right.data());
    for (long r = 0; r < n; r++) {
      sum += losses[r];
      rights += right[r];
    }
    if (!dz) continue;
    for (long r = 0; r < n; r++) block[r * rows + (i + r + rows / 2) % rows] -= 1;
    // each row as an anchor, and as the positive or a negative of these anchors
    if (gemm(0, 0, n, d, rows, block, u, 1, dz + i * d)) return 1;
    if (gemm(1, 0, rows, d, n, block, u + i * d, 1, dz)) return 1;
  }
  if (dz) through_norm(rows, d, dloss / (temperature * rows), z, u, dz);
  *loss = sum / rows;
  *accuracy = 2.0 * rights / rows;
  return 0;
}
