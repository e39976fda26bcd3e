//===- Peer.h - the same work in oneDNN -------------------------*- C++ -*-===//
#ifndef TILEWRIGHT_TESTS_BENCH_KERNELS_PEER_H
#define TILEWRIGHT_TESTS_BENCH_KERNELS_PEER_H

#include <cstdint>
#include <functional>

namespace tilewright::bench {

struct MatrixProduct {
  int64_t m, n, k;
};

/// Square images and kernels.
struct Convolution {
  const char *name;
  int64_t images, size, channels, outputs, taps, stride, pad, groups;
  int64_t outputSize() const { return (size + 2 * pad - taps) / stride + 1; }
  double flops() const {
    return 2.0 * images * outputSize() * outputSize() * outputs * (channels / groups) * taps * taps;
  }
};

/// The heads of an attention layer: scores = q * k^T, or values = p * v, read from and written to [batch *
/// sequence, heads * size].
struct Attention {
  bool scores;
  int64_t batch, heads, sequence, size;
};

/// Rows of a tensor, normalised, or all of its elements mapped.
struct RowKernel {
  enum Kind { Softmax, LayerNorm, Gelu, Tanh, Add } kind;
  const char *name;
  int64_t rows, columns;
};

/// One execution on one thread, with weights in the layout that oneDNN prefers.
using Execution = std::function<void()>;
Execution peerOf(const MatrixProduct &product);
Execution peerOf(const Convolution &convolution);
Execution peerOf(const Attention &attention);
Execution peerOf(const RowKernel &rows);

} // namespace tilewright::bench

#endif // TILEWRIGHT_TESTS_BENCH_KERNELS_PEER_H
