// One contraction a kernel; work in front of one is stored, a transpose is read in place.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// Another consumer needs the first product: it is stored.
// CHECK: func.func @two
// CHECK-COUNT-2: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @two(%x: tensor<32x64xf32>, %v: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> (tensor<32x64xf32>, tensor<32x64xf32>) {
  %0 = graph.contract %x, %v batch [] [] contract [1] [0] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
  %1 = graph.contract %0, %w batch [] [] contract [1] [0] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
  return %0, %1 : tensor<32x64xf32>, tensor<32x64xf32>
}

// A contraction in front of a convolution is stored as well.
// CHECK: func.func @product_and_convolution
// CHECK-COUNT-2: kernel.launch
// CHECK: return
func.func @product_and_convolution(%x: tensor<1x8x32xf32>, %v: tensor<32x3xf32>, %w: tensor<3x3x16xf32>) -> tensor<1x6x16xf32> {
  %0 = graph.contract %x, %v batch [] [] contract [2] [0] : tensor<1x8x32xf32>, tensor<32x3xf32> -> tensor<1x8x3xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1>, low = affine_map<() -> (0)>, lhsDilation = array<i64: 1>, rhsDilation = array<i64: 1>, groups = 1 : i64, channelsLast} : tensor<1x8x3xf32>, tensor<3x3x16xf32> -> tensor<1x6x16xf32>
  return %1 : tensor<1x6x16xf32>
}

// CHECK: func.func @before
// CHECK: kernel.launch {{.*}}reason = "a contraction would compute it again for every tile"
// CHECK: kernel.launch
// CHECK: return
func.func @before(%x: tensor<32x64xf32>, %w: tensor<64x64xf32>) -> tensor<32x64xf32> {
  %0 = graph.unary <exp> %x : tensor<32x64xf32> -> tensor<32x64xf32>
  %1 = graph.contract %0, %w batch [] [] contract [1] [0] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
  return %1 : tensor<32x64xf32>
}

// CHECK: func.func @transposed
// CHECK-COUNT-1: kernel.launch
// CHECK-NOT: kernel.launch
// CHECK: return
func.func @transposed(%x: tensor<64x32xf32>, %w: tensor<64x64xf32>) -> tensor<32x64xf32> {
  %0 = graph.transpose %x [1, 0] : tensor<64x32xf32> -> tensor<32x64xf32>
  %1 = graph.contract %0, %w batch [] [] contract [1] [0] : tensor<32x64xf32>, tensor<64x64xf32> -> tensor<32x64xf32>
  return %1 : tensor<32x64xf32>
}
