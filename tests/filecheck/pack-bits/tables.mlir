// Constants below a byte are packed, and taken apart where they are read.
// RUN: tilewright-opt %s --mark-narrow-weights --fuse --pack-bits | FileCheck %s

// A run's own values have a byte each; a plain table stays what it is.
// CHECK-LABEL: sym_name = "gather_1"
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<100x70xsi8>, %{{.*}}: tensor<3xsi64>):
// CHECK-NEXT: graph.gather

// A table with a scale for each row is looked up in as it is: 7000 elements in 3500 bytes.
// CHECK-LABEL: sym_name = "gather_0"
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<3500xui8>, %{{.*}}: tensor<100xf32>, %{{.*}}: tensor<3xsi64>):
// CHECK: graph.binary <shr> {{.*}} : tensor<3500x2xui8>
// CHECK: graph.binary <iand> {{.*}} : tensor<3500x2xui8>
// CHECK: graph.cast {{.*}} : tensor<100x70xui8> -> tensor<100x70xsi4>
// CHECK: graph.cast {{.*}} : tensor<100x70xsi4> -> tensor<100x70xf32>
// CHECK: graph.gather
// CHECK-LABEL: func.func @main
// CHECK: graph.binary <shl> {{.*}} : tensor<3500xui8>
// CHECK: graph.binary <ior> {{.*}} : tensor<3500xui8>
func.func @main(%i: tensor<3xsi64>, %n: tensor<3x70xsi4>) -> (tensor<3x70xf32>, tensor<3x70xsi8>, tensor<3x70xsi4>) {
  %t = graph.weight "weights.bin" at 0 for 3500 : tensor<100x70xsi4>
  %s = graph.weight "weights.bin" at 0 for 400 : tensor<100xf32>
  %0 = graph.cast %t : tensor<100x70xsi4> -> tensor<100x70xf32>
  %1 = graph.broadcast %s [0] : tensor<100xf32> -> tensor<100x70xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<100x70xf32>
  %3 = graph.gather %2, %i axis 0 : tensor<100x70xf32>, tensor<3xsi64> -> tensor<3x70xf32>
  %b = graph.weight "weights.bin" at 0 for 7000 : tensor<100x70xsi8>
  %4 = graph.gather %b, %i axis 0 : tensor<100x70xsi8>, tensor<3xsi64> -> tensor<3x70xsi8>
  %5 = graph.binary <add> %n, %n : tensor<3x70xsi4>
  return %3, %4, %5 : tensor<3x70xf32>, tensor<3x70xsi8>, tensor<3x70xsi4>
}
