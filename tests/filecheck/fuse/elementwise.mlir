// Element-wise work and movement become one kernel; inputs that are returned are copied by one.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK: func.func @chain
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @chain(%x: tensor<8x16xf32>, %y: tensor<16x8xf32>) -> tensor<4x16xf32> {
  %0 = graph.transpose %y [1, 0] : tensor<16x8xf32> -> tensor<8x16xf32>
  %1 = graph.unary <tanh> %x : tensor<8x16xf32> -> tensor<8x16xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<8x16xf32>
  %3 = graph.slice %2 affine_map<() -> (2, 0)> [1, 1] : tensor<8x16xf32> -> tensor<4x16xf32>
  return %3 : tensor<4x16xf32>
}

// The nodes that a launch runs keep their names.
// CHECK: func.func @names
// CHECK: kernel.launch {{.*}}nodes = ["Exp:first", "Neg:second"]
func.func @names(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = graph.unary <exp> %x : tensor<8xf32> -> tensor<8xf32> loc("Exp:first")
  %1 = graph.unary <neg> %0 : tensor<8xf32> -> tensor<8xf32> loc("Neg:second")
  return %1 : tensor<8xf32>
}

// CHECK: func.func @nothing_to_do
// CHECK: kernel.launch
// CHECK: return
func.func @nothing_to_do(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
