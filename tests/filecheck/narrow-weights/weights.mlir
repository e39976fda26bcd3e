// Weights of few bits are multiplied as they are stored: eight of a column in 32 bits, panels of 32 columns.
// RUN: tilewright-opt %s --mark-narrow-weights --fuse --pack-narrow-weights | FileCheck %s

// A plain product stays what it is.
// CHECK-LABEL: sym_name = "contract_3"
// CHECK-NEXT: ^bb0(%arg0: tensor<2x40xf32>, %arg1: tensor<40x48xf32>):
// CHECK-NEXT: graph.contract
// CHECK-NOT: narrow_weight

// A scale for each of what is summed is no block: such a weight is a constant of floats, as before.
// CHECK-LABEL: sym_name = "contract_2"
// CHECK-NEXT: ^bb0(%arg0: tensor<2x40xf32>, %arg1: tensor<40x48xf32>):
// CHECK-NEXT: graph.contract
// CHECK-NOT: narrow_weight

// One scale for each column of bytes, no zero point: those of signed bytes count from 128.
// CHECK-LABEL: sym_name = "contract_1"
// CHECK-NEXT: ^bb0(%arg0: tensor<2x40xf32>, %{{.*}}: tensor<2x10x128xui8>, %{{.*}}: tensor<2x1x32xf32>):
// CHECK: {kernel.narrow_weight = {bits = 8 : i64, block = 40 : i64, columns = 32 : i64, panels = 1 : i64, scales = 2 : i64, zero = 128 : i64, zeros = -1 : i64}}

// Blocks of 16 of the summed index, with zero points: 40 is two of them and a half.
// CHECK-LABEL: sym_name = "contract_0"
// CHECK-NEXT: ^bb0(%arg0: tensor<2x40xf32>, %[[P:.*]]: tensor<2x6x128xui8>, %[[S:.*]]: tensor<2x3x32xf32>, %[[Z:.*]]: tensor<2x3x32xui8>):
// CHECK: graph.reshape %[[P]]
// CHECK: graph.transpose %[[Z]]
// CHECK: graph.transpose %[[S]]
// CHECK: graph.contract %arg0,
// CHECK: {kernel.narrow_weight = {bits = 4 : i64, block = 16 : i64, columns = 32 : i64, panels = 1 : i64, scales = 2 : i64, zero = 8 : i64, zeros = 3 : i64}}
func.func @main(%x: tensor<2x40xf32>, %w: tensor<40x48xf32>) -> (tensor<2x48xf32>, tensor<2x48xf32>, tensor<2x48xf32>, tensor<2x48xf32>) {
  %q4 = graph.weight "weights.bin" at 0 for 960 : tensor<40x48xsi4>
  %z4 = graph.weight "weights.bin" at 960 for 72 : tensor<3x48xsi4>
  %s4 = graph.weight "weights.bin" at 0 for 576 : tensor<3x48xf32>
  %0 = graph.broadcast %s4 [0, 2] : tensor<3x48xf32> -> tensor<3x16x48xf32>
  %1 = graph.reshape %0 : tensor<3x16x48xf32> -> tensor<48x48xf32>
  %2 = graph.slice %1 affine_map<() -> (0, 0)> [1, 1] : tensor<48x48xf32> -> tensor<40x48xf32>
  %3 = graph.broadcast %z4 [0, 2] : tensor<3x48xsi4> -> tensor<3x16x48xsi4>
  %4 = graph.reshape %3 : tensor<3x16x48xsi4> -> tensor<48x48xsi4>
  %5 = graph.slice %4 affine_map<() -> (0, 0)> [1, 1] : tensor<48x48xsi4> -> tensor<40x48xsi4>
  %6 = graph.cast %q4 : tensor<40x48xsi4> -> tensor<40x48xf32>
  %7 = graph.cast %5 : tensor<40x48xsi4> -> tensor<40x48xf32>
  %8 = graph.binary <sub> %6, %7 : tensor<40x48xf32>
  %9 = graph.binary <mul> %8, %2 : tensor<40x48xf32>
  %10 = graph.contract %x, %9 batch [] [] contract [1] [0] : tensor<2x40xf32>, tensor<40x48xf32> -> tensor<2x48xf32>
  %q8 = graph.weight "weights.bin" at 0 for 1920 : tensor<48x40xsi8>
  %s8 = graph.weight "weights.bin" at 0 for 192 : tensor<48xf32>
  %11 = graph.cast %q8 : tensor<48x40xsi8> -> tensor<48x40xf32>
  %12 = graph.broadcast %s8 [0] : tensor<48xf32> -> tensor<48x40xf32>
  %13 = graph.binary <mul> %12, %11 : tensor<48x40xf32>
  %14 = graph.contract %x, %13 batch [] [] contract [1] [1] : tensor<2x40xf32>, tensor<48x40xf32> -> tensor<2x48xf32>
  %sk = graph.weight "weights.bin" at 0 for 160 : tensor<40xf32>
  %15 = graph.transpose %11 [1, 0] : tensor<48x40xf32> -> tensor<40x48xf32>
  %16 = graph.broadcast %sk [0] : tensor<40xf32> -> tensor<40x48xf32>
  %17 = graph.binary <mul> %15, %16 : tensor<40x48xf32>
  %18 = graph.contract %x, %17 batch [] [] contract [1] [0] : tensor<2x40xf32>, tensor<40x48xf32> -> tensor<2x48xf32>
  %19 = graph.contract %x, %w batch [] [] contract [1] [0] : tensor<2x40xf32>, tensor<40x48xf32> -> tensor<2x48xf32>
  return %10, %14, %18, %19 : tensor<2x48xf32>, tensor<2x48xf32>, tensor<2x48xf32>, tensor<2x48xf32>
}
