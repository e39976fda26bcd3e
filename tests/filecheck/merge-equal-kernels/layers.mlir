// Launches that do the same run one kernel, whatever they read; others keep theirs.
// RUN: tilewright-opt %s --fuse --merge-equal-kernels | FileCheck %s

// CHECK-COUNT-2: "kernel.func"
// CHECK-NOT: "kernel.func"
// CHECK: func.func @layers
// CHECK: kernel.launch @[[K:[a-z0-9_]+]](
// CHECK: kernel.launch @[[K]](
// CHECK-NOT: kernel.launch @[[K]](
// CHECK: kernel.launch
// CHECK: return
func.func @layers(%x: tensor<512x64xf32>, %y: tensor<512x64xf32>) -> (tensor<512x64xf32>, tensor<512x64xf32>, tensor<512x64xf32>) {
  %0 = graph.unary <exp> %x : tensor<512x64xf32> -> tensor<512x64xf32>
  %1 = graph.unary <exp> %y : tensor<512x64xf32> -> tensor<512x64xf32>
  %2 = graph.unary <sin> %x : tensor<512x64xf32> -> tensor<512x64xf32>
  return %0, %1, %2 : tensor<512x64xf32>, tensor<512x64xf32>, tensor<512x64xf32>
}
