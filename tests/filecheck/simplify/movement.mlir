// Movement of movement is one movement, or none.
// RUN: tilewright-opt %s --simplify | FileCheck %s

// CHECK-LABEL: func.func @reshapes
// CHECK-SAME: (%[[X:.*]]: tensor<4x6xf32>)
// CHECK-NEXT: %[[R:.*]] = graph.reshape %[[X]] : tensor<4x6xf32> -> tensor<3x8xf32>
// CHECK-NEXT: return %[[R]]
func.func @reshapes(%x: tensor<4x6xf32>) -> tensor<3x8xf32> {
  %0 = graph.reshape %x : tensor<4x6xf32> -> tensor<24xf32>
  %1 = graph.reshape %0 : tensor<24xf32> -> tensor<3x8xf32>
  return %1 : tensor<3x8xf32>
}

// CHECK-LABEL: func.func @reshape_back
// CHECK-SAME: (%[[X:.*]]: tensor<4x6xf32>)
// CHECK-NEXT: return %[[X]]
func.func @reshape_back(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %0 = graph.reshape %x : tensor<4x6xf32> -> tensor<24xf32>
  %1 = graph.reshape %0 : tensor<24xf32> -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @transposes
// CHECK-NEXT: graph.transpose %{{.*}} [1, 2, 0]
// CHECK-NEXT: return
func.func @transposes(%x: tensor<2x3x4xf32>) -> tensor<3x4x2xf32> {
  %0 = graph.transpose %x [0, 2, 1] : tensor<2x3x4xf32> -> tensor<2x4x3xf32>
  %1 = graph.transpose %0 [2, 1, 0] : tensor<2x4x3xf32> -> tensor<3x4x2xf32>
  return %1 : tensor<3x4x2xf32>
}

// CHECK-LABEL: func.func @inverse_transposes
// CHECK-SAME: (%[[X:.*]]: tensor<2x3x4xf32>)
// CHECK-NEXT: return %[[X]]
func.func @inverse_transposes(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %0 = graph.transpose %x [2, 0, 1] : tensor<2x3x4xf32> -> tensor<4x2x3xf32>
  %1 = graph.transpose %0 [1, 2, 0] : tensor<4x2x3xf32> -> tensor<2x3x4xf32>
  return %1 : tensor<2x3x4xf32>
}

// Only a dimension of size 1 moves: a view.
// CHECK-LABEL: func.func @moves_a_one
// CHECK-NEXT: graph.reshape
func.func @moves_a_one(%x: tensor<2x1x4xf32>) -> tensor<1x2x4xf32> {
  %0 = graph.transpose %x [1, 0, 2] : tensor<2x1x4xf32> -> tensor<1x2x4xf32>
  return %0 : tensor<1x2x4xf32>
}

// CHECK-LABEL: func.func @real_transpose
// CHECK-NEXT: graph.transpose
func.func @real_transpose(%x: tensor<2x4xf32>) -> tensor<4x2xf32> {
  %0 = graph.transpose %x [1, 0] : tensor<2x4xf32> -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @broadcasts
// CHECK-NEXT: graph.broadcast %{{.*}} [2] : tensor<5xf32> -> tensor<2x3x5xf32>
// CHECK-NEXT: return
func.func @broadcasts(%x: tensor<5xf32>) -> tensor<2x3x5xf32> {
  %0 = graph.broadcast %x [1] : tensor<5xf32> -> tensor<3x5xf32>
  %1 = graph.broadcast %0 [1, 2] : tensor<3x5xf32> -> tensor<2x3x5xf32>
  return %1 : tensor<2x3x5xf32>
}

// A reshape that adds ones in front of a broadcast is part of it.
// CHECK-LABEL: func.func @broadcast_of_ones
// CHECK-NEXT: graph.broadcast %{{.*}} [1] : tensor<3xf32> -> tensor<2x3x5xf32>
func.func @broadcast_of_ones(%x: tensor<3xf32>) -> tensor<2x3x5xf32> {
  %0 = graph.reshape %x : tensor<3xf32> -> tensor<3x1xf32>
  %1 = graph.broadcast %0 [1, 2] : tensor<3x1xf32> -> tensor<2x3x5xf32>
  return %1 : tensor<2x3x5xf32>
}

// One that regroups is not.
// CHECK-LABEL: func.func @regroups
// CHECK-NEXT: graph.reshape
// CHECK-NEXT: graph.broadcast
func.func @regroups(%x: tensor<6xf32>) -> tensor<4x2x3xf32> {
  %0 = graph.reshape %x : tensor<6xf32> -> tensor<2x3xf32>
  %1 = graph.broadcast %0 [1, 2] : tensor<2x3xf32> -> tensor<4x2x3xf32>
  return %1 : tensor<4x2x3xf32>
}

// A broadcast that repeats nothing is a view; to the same type, nothing.
// CHECK-LABEL: func.func @repeats_nothing
// CHECK-NEXT: graph.reshape %{{.*}} : tensor<4xf32> -> tensor<1x4xf32>
func.func @repeats_nothing(%x: tensor<4xf32>) -> tensor<1x4xf32> {
  %0 = graph.broadcast %x [0] : tensor<4xf32> -> tensor<4xf32>
  %1 = graph.broadcast %0 [1] : tensor<4xf32> -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}

// CHECK-LABEL: func.func @same_cast
// CHECK-NEXT: return
func.func @same_cast(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.cast %x : tensor<4xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Through a narrower type, bits are lost: both stay.
// CHECK-LABEL: func.func @narrowing_casts
// CHECK-COUNT-2: graph.cast
func.func @narrowing_casts(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.cast %x : tensor<4xf32> -> tensor<4xf16>
  %1 = graph.cast %0 : tensor<4xf16> -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
