// Softmax and normalisations are one kernel, found by structure: reductions of whole rows are computed once a row.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK: func.func @softmax
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @softmax(%x: tensor<32x64xf32>) -> tensor<32x64xf32> {
  %m = graph.reduce <rmax> %x [1] : tensor<32x64xf32> -> tensor<32xf32>
  %mb = graph.broadcast %m [0] : tensor<32xf32> -> tensor<32x64xf32>
  %0 = graph.binary <sub> %x, %mb : tensor<32x64xf32>
  %e = graph.unary <exp> %0 : tensor<32x64xf32> -> tensor<32x64xf32>
  %s = graph.reduce <sum> %e [1] : tensor<32x64xf32> -> tensor<32xf32>
  %sb = graph.broadcast %s [0] : tensor<32xf32> -> tensor<32x64xf32>
  %1 = graph.binary <div> %e, %sb : tensor<32x64xf32>
  return %1 : tensor<32x64xf32>
}

// Over the last two dimensions, with a scale behind: a layer normalisation of no name.
// CHECK: func.func @centred
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @centred(%x: tensor<4x8x16xf32>, %g: tensor<8x16xf32>) -> tensor<4x8x16xf32> {
  %s = graph.reduce <sum> %x [1, 2] : tensor<4x8x16xf32> -> tensor<4xf32>
  %sb = graph.broadcast %s [0] : tensor<4xf32> -> tensor<4x8x16xf32>
  %0 = graph.binary <sub> %x, %sb : tensor<4x8x16xf32>
  %gb = graph.broadcast %g [1, 2] : tensor<8x16xf32> -> tensor<4x8x16xf32>
  %1 = graph.binary <mul> %0, %gb : tensor<4x8x16xf32>
  return %1 : tensor<4x8x16xf32>
}

// A reduction over the outer dimension is no row's.
// CHECK: func.func @columns
// CHECK: kernel.launch {{.*}}reason = "it does not reduce the innermost dimensions"
// CHECK: kernel.launch
// CHECK: return
func.func @columns(%x: tensor<32x64xf32>) -> tensor<32x64xf32> {
  %m = graph.reduce <rmax> %x [0] : tensor<32x64xf32> -> tensor<64xf32>
  %mb = graph.broadcast %m [1] : tensor<64xf32> -> tensor<32x64xf32>
  %0 = graph.binary <sub> %x, %mb : tensor<32x64xf32>
  return %0 : tensor<32x64xf32>
}

// Rows of another length.
// CHECK: func.func @other_rows
// CHECK: kernel.launch {{.*}}reason = "its rows are not the consumer's"
func.func @other_rows(%x: tensor<32x64xf32>, %y: tensor<32x16xf32>) -> tensor<32x16xf32> {
  %m = graph.reduce <sum> %x [1] : tensor<32x64xf32> -> tensor<32xf32>
  %mb = graph.broadcast %m [0] : tensor<32xf32> -> tensor<32x16xf32>
  %0 = graph.binary <mul> %y, %mb : tensor<32x16xf32>
  return %0 : tensor<32x16xf32>
}
