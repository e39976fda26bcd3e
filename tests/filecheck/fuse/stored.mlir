// Values that must lie in memory, and why.
// RUN: tilewright-opt %s --fuse | FileCheck %s

// CHECK: func.func @several_consumers
// CHECK: kernel.launch {{.*}}reason = "it is an output"
// CHECK: kernel.launch {{.*}}reason = "it is an output"
func.func @several_consumers(%x: tensor<512x64xf32>) -> (tensor<512x64xf32>, tensor<512x64xf32>) {
  %0 = graph.unary <exp> %x : tensor<512x64xf32> -> tensor<512x64xf32>
  %1 = graph.unary <neg> %0 : tensor<512x64xf32> -> tensor<512x64xf32>
  return %0, %1 : tensor<512x64xf32>, tensor<512x64xf32>
}

// CHECK: func.func @used_twice
// CHECK: kernel.launch {{.*}}reason = "several kernels use it"
func.func @used_twice(%x: tensor<512x64xf32>) -> (tensor<512x64xf32>, tensor<512x64xf32>) {
  %0 = graph.unary <exp> %x : tensor<512x64xf32> -> tensor<512x64xf32>
  %1 = graph.unary <neg> %0 : tensor<512x64xf32> -> tensor<512x64xf32>
  %2 = graph.unary <abs> %0 : tensor<512x64xf32> -> tensor<512x64xf32>
  return %1, %2 : tensor<512x64xf32>, tensor<512x64xf32>
}

// Cheap work on few elements is repeated instead.
// CHECK: func.func @repeated
// CHECK-NOT: several kernels
// CHECK: return
func.func @repeated(%x: tensor<8x8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>) {
  %0 = graph.binary <add> %x, %x : tensor<8x8xf32>
  %1 = graph.unary <neg> %0 : tensor<8x8xf32> -> tensor<8x8xf32>
  %2 = graph.unary <abs> %0 : tensor<8x8xf32> -> tensor<8x8xf32>
  return %1, %2 : tensor<8x8xf32>, tensor<8x8xf32>
}

// CHECK: func.func @serial
// CHECK: kernel.launch {{.*}}reason = "its elements depend on each other"
func.func @serial(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %0 = graph.scan <sum> %x axis 1 {exclusive = false, reverse = false} : tensor<8x8xf32> -> tensor<8x8xf32>
  %1 = graph.unary <neg> %0 : tensor<8x8xf32> -> tensor<8x8xf32>
  return %1 : tensor<8x8xf32>
}

// CHECK: func.func @concatenation
// CHECK: kernel.launch {{.*}}reason = "concatenations are written piece by piece"
func.func @concatenation(%x: tensor<8x8xf32>) -> tensor<16x8xf32> {
  %0 = graph.concat %x, %x axis 0 : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<16x8xf32>
  %1 = graph.unary <neg> %0 : tensor<16x8xf32> -> tensor<16x8xf32>
  return %1 : tensor<16x8xf32>
}

// An elementary function is not computed again for every repetition.
// CHECK: func.func @dear
// CHECK: kernel.launch {{.*}}reason = "it would be computed again for every repetition"
func.func @dear(%x: tensor<64xf32>, %y: tensor<512x64xf32>) -> tensor<512x64xf32> {
  %0 = graph.unary <exp> %x : tensor<64xf32> -> tensor<64xf32>
  %1 = graph.broadcast %0 [1] : tensor<64xf32> -> tensor<512x64xf32>
  %2 = graph.binary <mul> %y, %1 : tensor<512x64xf32>
  return %2 : tensor<512x64xf32>
}
