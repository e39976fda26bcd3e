// In one dimension the layout is its own inverse: transposes must not wander up and down through broadcasts whose
// sizes the run checks. One is left in front of each convolution and one behind the sum.
// RUN: tilewright-opt %s --channels-last | FileCheck %s

// CHECK-LABEL: func.func @sum
// CHECK-COUNT-2: graph.conv
// CHECK: graph.binary <add> {{.*}} : tensor<1x?x4xf32
// CHECK-NEXT: %[[y:.*]] = graph.transpose %{{.*}} [0, 2, 1]
// CHECK-NEXT: return %[[y]]
module attributes {graph.symbols = [
    {hi = 9223372036854775807, lo = 1, name = "t", origin = 0}, {hi = 9223372036854775807, lo = 1, name = "u", origin = 0},
    {hi = 9223372036854775807, lo = 1, name = "broadcast(t,u)", origin = 1, rule = 3, of = affine_map<()[s0, s1] -> (s0, s1)>}]} {
func.func @sum(%x: tensor<1x3x?xf32, affine_map<()[s0] -> (1, 3, s0)>>, %z: tensor<1x3x?xf32, affine_map<()[s0, s1] -> (1, 3, s1)>>, %w: tensor<4x3x1xf32>)
    -> tensor<1x4x?xf32, affine_map<()[s0, s1, s2] -> (1, 4, s2)>> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x?xf32, affine_map<()[s0] -> (1, 3, s0)>>, tensor<4x3x1xf32> -> tensor<1x4x?xf32, affine_map<()[s0] -> (1, 4, s0)>>
  %1 = graph.conv %z, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64} : tensor<1x3x?xf32, affine_map<()[s0, s1] -> (1, 3, s1)>>, tensor<4x3x1xf32> -> tensor<1x4x?xf32, affine_map<()[s0, s1] -> (1, 4, s1)>>
  %2 = graph.broadcast %0 [0, 1, 2] : tensor<1x4x?xf32, affine_map<()[s0] -> (1, 4, s0)>> -> tensor<1x4x?xf32, affine_map<()[s0, s1, s2] -> (1, 4, s2)>>
  %3 = graph.broadcast %1 [0, 1, 2] : tensor<1x4x?xf32, affine_map<()[s0, s1] -> (1, 4, s1)>> -> tensor<1x4x?xf32, affine_map<()[s0, s1, s2] -> (1, 4, s2)>>
  %4 = graph.binary <add> %2, %3 : tensor<1x4x?xf32, affine_map<()[s0, s1, s2] -> (1, 4, s2)>>
  return %4 : tensor<1x4x?xf32, affine_map<()[s0, s1, s2] -> (1, 4, s2)>>
}
}
