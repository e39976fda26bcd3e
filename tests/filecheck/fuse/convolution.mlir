// A convolution takes bias, activation and the sum with another branch as its epilogue; pooling behind it and work in front
// of it are kernels of their own.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK: func.func @residual
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @residual(%x: tensor<1x8x16xf32>, %w: tensor<1x16x16xf32>, %b: tensor<16xf32>) -> tensor<1x8x16xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %zeros = graph.broadcast %zero [] : tensor<f32> -> tensor<1x8x16xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64, channelsLast} : tensor<1x8x16xf32>, tensor<1x16x16xf32> -> tensor<1x8x16xf32>
  %1 = graph.broadcast %b [2] : tensor<16xf32> -> tensor<1x8x16xf32>
  %2 = graph.binary <add> %0, %1 : tensor<1x8x16xf32>
  %3 = graph.binary <add> %2, %x : tensor<1x8x16xf32>
  %4 = graph.binary <max> %3, %zeros : tensor<1x8x16xf32>
  return %4 : tensor<1x8x16xf32>
}

// CHECK: func.func @pooled
// CHECK-COUNT-2: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @pooled(%x: tensor<1x8x16xf32>, %w: tensor<1x16x16xf32>) -> tensor<1x4x16xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64, channelsLast} : tensor<1x8x16xf32>, tensor<1x16x16xf32> -> tensor<1x8x16xf32>
  %1 = graph.window <wmax> %0 {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, low = affine_map<() -> (0)>, channelsLast} : tensor<1x8x16xf32> -> tensor<1x4x16xf32>
  return %1 : tensor<1x4x16xf32>
}

// CHECK: func.func @scaled_first
// CHECK: kernel.launch {{.*}}reason = "a contraction would compute it again for every tile"
// CHECK: kernel.launch
// CHECK: return
func.func @scaled_first(%x: tensor<1x8x16xf32>, %s: tensor<1x8x16xf32>, %w: tensor<1x16x16xf32>) -> tensor<1x8x16xf32> {
  %0 = graph.binary <mul> %x, %s : tensor<1x8x16xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64, channelsLast} : tensor<1x8x16xf32>, tensor<1x16x16xf32> -> tensor<1x8x16xf32>
  return %1 : tensor<1x8x16xf32>
}

// A normalisation reduces rows: it does not follow a contraction in its kernel.
// CHECK: func.func @normalised
// CHECK: kernel.launch {{.*}}reason = "the consumer's kernel reduces rows"
func.func @normalised(%x: tensor<32x64xf32>, %w: tensor<64x48xf32>) -> tensor<32x48xf32> {
  %0 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<32x64xf32>, tensor<64x48xf32> -> tensor<32x48xf32>
  %1 = graph.unary <exp> %0 : tensor<32x48xf32> -> tensor<32x48xf32>
  %2 = graph.reduce <sum> %1 [1] : tensor<32x48xf32> -> tensor<32xf32>
  %3 = graph.broadcast %2 [0] : tensor<32xf32> -> tensor<32x48xf32>
  %4 = graph.binary <div> %1, %3 : tensor<32x48xf32>
  return %4 : tensor<32x48xf32>
}
