// Between two convolutions transposes sink through element-wise ops, repeated scalars, slices, pads, reduces and
// concatenations until they meet their inverses.
// RUN: tilewright-opt %s --channels-last | FileCheck %s

// CHECK-LABEL: func.func @chain
// CHECK: graph.transpose %{{.*}} [0, 2, 3, 1]
// CHECK: graph.conv
// CHECK-NOT: graph.transpose %{{.*}} [0, 3, 1, 2]
// CHECK: graph.unary <tanh>
// CHECK-NOT: graph.transpose %{{.*}} [0, {{[23]}}
// CHECK: graph.binary <max>
// CHECK-NOT: graph.transpose %{{.*}} [0, {{[23]}}
// CHECK: graph.conv
// CHECK: graph.transpose %{{.*}} [0, 3, 1, 2]
// CHECK-NEXT: return
func.func @chain(%x: tensor<1x3x8x8xf32>, %w: tensor<3x3x1x1xf32>) -> tensor<1x3x8x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %zeros = graph.broadcast %zero [] : tensor<f32> -> tensor<1x3x8x8xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64} : tensor<1x3x8x8xf32>, tensor<3x3x1x1xf32> -> tensor<1x3x8x8xf32>
  %1 = graph.unary <tanh> %0 : tensor<1x3x8x8xf32> -> tensor<1x3x8x8xf32>
  %2 = graph.binary <max> %1, %zeros : tensor<1x3x8x8xf32>
  %3 = graph.conv %2, %w {strides = array<i64: 1, 1>, low = affine_map<() -> (0, 0)>, lhsDilation = array<i64: 1, 1>, rhsDilation = array<i64: 1, 1>, groups = 1 : i64} : tensor<1x3x8x8xf32>, tensor<3x3x1x1xf32> -> tensor<1x3x8x8xf32>
  return %3 : tensor<1x3x8x8xf32>
}

// A bias along channels is repeated along the last dimension.
// CHECK-LABEL: func.func @bias
// CHECK: graph.broadcast %{{.*}} [2] : tensor<4xf32> -> tensor<1x8x4xf32>
// CHECK: graph.binary <add> {{.*}} : tensor<1x8x4xf32>
func.func @bias(%x: tensor<1x3x8xf32>, %w: tensor<4x3x1xf32>, %b: tensor<4xf32>) -> tensor<1x4x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x8xf32>, tensor<4x3x1xf32> -> tensor<1x4x8xf32>
  %1 = graph.broadcast %b [1] : tensor<4xf32> -> tensor<1x4x8xf32>
  %2 = graph.binary <add> %0, %1 : tensor<1x4x8xf32>
  return %2 : tensor<1x4x8xf32>
}

// Slices, pads and sums follow the dimensions.
// CHECK-LABEL: func.func @movement
// CHECK: graph.slice {{.*}} -> tensor<1x6x4xf32>
// CHECK: graph.pad {{.*}} -> tensor<1x7x4xf32>
// CHECK: graph.reduce <sum> %{{.*}} [1] : tensor<1x7x4xf32> -> tensor<1x4xf32>
// CHECK-NEXT: return
func.func @movement(%x: tensor<1x3x8xf32>, %w: tensor<4x3x1xf32>) -> tensor<1x4xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x8xf32>, tensor<4x3x1xf32> -> tensor<1x4x8xf32>
  %1 = graph.slice %0 affine_map<() -> (0, 0, 2)> [1, 1, 1] : tensor<1x4x8xf32> -> tensor<1x4x6xf32>
  %2 = graph.pad <constant> %1, %zero affine_map<() -> (0, 0, 1)> : tensor<1x4x6xf32>, tensor<f32> -> tensor<1x4x7xf32>
  %3 = graph.reduce <sum> %2 [2] : tensor<1x4x7xf32> -> tensor<1x4xf32>
  return %3 : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @concatenation
// CHECK: graph.concat %{{.*}} axis 2 : {{.*}} -> tensor<1x8x8xf32>
func.func @concatenation(%x: tensor<1x3x8xf32>, %w: tensor<4x3x1xf32>) -> tensor<1x8x8xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x8xf32>, tensor<4x3x1xf32> -> tensor<1x4x8xf32>
  %1 = graph.unary <exp> %0 : tensor<1x4x8xf32> -> tensor<1x4x8xf32>
  %2 = graph.concat %0, %1 axis 1 : tensor<1x4x8xf32>, tensor<1x4x8xf32> -> tensor<1x8x8xf32>
  return %2 : tensor<1x8x8xf32>
}

// A reshape regroups what the transpose moved: it stops there.
// CHECK-LABEL: func.func @stops
// CHECK: graph.conv
// CHECK-NEXT: graph.transpose
// CHECK-NEXT: graph.reshape
func.func @stops(%x: tensor<1x3x8xf32>, %w: tensor<4x3x1xf32>) -> tensor<2x16xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x8xf32>, tensor<4x3x1xf32> -> tensor<1x4x8xf32>
  %1 = graph.reshape %0 : tensor<1x4x8xf32> -> tensor<2x16xf32>
  return %1 : tensor<2x16xf32>
}
