// Pads become a convolution's own; convolutions that are products, or have a dimension of size 1, become simpler.
// RUN: tilewright-opt %s --simplify | FileCheck %s

// CHECK: #[[PADS:map[0-9]*]] = affine_map<() -> (1, 2)>
// CHECK-LABEL: func.func @pad(
// CHECK-NOT: graph.pad
// CHECK: graph.conv {{.*}}low = #[[PADS]],
func.func @pad(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x8x9xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad <constant> %x, %zero affine_map<() -> (0, 0, 1, 2)> : tensor<1x3x8x8xf32>, tensor<f32> -> tensor<1x3x10x11xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64} : tensor<1x3x10x11xf32>, tensor<4x3x3x3xf32> -> tensor<1x4x8x9xf32>
  return %1 : tensor<1x4x8x9xf32>
}

// Not with another number, nor along channels.
// CHECK-LABEL: func.func @pad_with_one
// CHECK: graph.pad
func.func @pad_with_one(%x: tensor<1x3x8xf32>, %w: tensor<4x3x3xf32>) -> tensor<1x4x8xf32> {
  %one = graph.constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad <constant> %x, %one affine_map<() -> (0, 0, 1)> : tensor<1x3x8xf32>, tensor<f32> -> tensor<1x3x10xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x10xf32>, tensor<4x3x3xf32> -> tensor<1x4x8xf32>
  return %1 : tensor<1x4x8xf32>
}
// CHECK-LABEL: func.func @pad_channels
// CHECK: graph.pad
func.func @pad_channels(%x: tensor<1x2x8xf32>, %w: tensor<4x3x1xf32>) -> tensor<1x4x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.pad <constant> %x, %zero affine_map<() -> (0, 1, 0)> : tensor<1x2x8xf32>, tensor<f32> -> tensor<1x3x8xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x8xf32>, tensor<4x3x1xf32> -> tensor<1x4x8xf32>
  return %1 : tensor<1x4x8xf32>
}

// A transposed convolution whose windows do not overlap is a product and a permutation.
// CHECK-LABEL: func.func @product
// CHECK-NOT: graph.conv
// CHECK: graph.contract
// CHECK: graph.transpose %{{.*}} [0, 1, 3, 2, 4, 5]
func.func @product(%x: tensor<1x5x6x3xf32>, %w: tensor<2x2x3x4xf32>) -> tensor<1x10x12x4xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (1, 1)>, lhsDilation = array<i64: 2, 2>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64, channelsLast} : tensor<1x5x6x3xf32>, tensor<2x2x3x4xf32> -> tensor<1x10x12x4xf32>
  return %0 : tensor<1x10x12x4xf32>
}

// Where windows overlap it stays.
// CHECK-LABEL: func.func @overlap
// CHECK: graph.conv
func.func @overlap(%x: tensor<1x5x3xf32>, %w: tensor<3x3x4xf32>) -> tensor<1x9x4xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (1)>, lhsDilation = array<i64: 2>, rhsDilation = array<i64: 1>, groups = 1 : i64, channelsLast} : tensor<1x5x3xf32>, tensor<3x3x4xf32> -> tensor<1x9x4xf32>
  return %0 : tensor<1x9x4xf32>
}

// CHECK-LABEL: func.func @unit_dimension
// CHECK: graph.conv {{.*}} : tensor<1x8x3xf32>, tensor<3x3x4xf32> -> tensor<1x8x4xf32>
func.func @unit_dimension(%x: tensor<1x1x8x3xf32>, %w: tensor<1x3x3x4xf32>) -> tensor<1x1x8x4xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 1)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64, channelsLast} : tensor<1x1x8x3xf32>, tensor<1x3x3x4xf32> -> tensor<1x1x8x4xf32>
  return %0 : tensor<1x1x8x4xf32>
}
