// Pure ops over constants are evaluated while that is small: results up to 1024 bytes.
// RUN: tilewright-opt %s --simplify | FileCheck %s

// CHECK-LABEL: func.func @arithmetic
// CHECK-NEXT: %[[C:.*]] = graph.constant dense<[4.000000e+00, 6.000000e+00]>
// CHECK-NEXT: return %[[C]]
func.func @arithmetic() -> tensor<2xf32> {
  %a = graph.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %b = graph.constant dense<[3.0, 4.0]> : tensor<2xf32> : tensor<2xf32>
  %0 = graph.binary <add> %a, %b : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// Integers wrap in their width.
// CHECK-LABEL: func.func @wraps
// CHECK-NEXT: graph.constant dense<-128>
func.func @wraps() -> tensor<si8> {
  %a = graph.constant dense<127> : tensor<i8> : tensor<si8>
  %b = graph.constant dense<1> : tensor<i8> : tensor<si8>
  %0 = graph.binary <add> %a, %b : tensor<si8>
  return %0 : tensor<si8>
}

// 256 floats are 1024 bytes: the largest that is folded.
// CHECK-LABEL: func.func @at_the_limit
// CHECK-NEXT: graph.constant dense<{{.*}}> : tensor<256xf32>
// CHECK-NEXT: return
func.func @at_the_limit() -> tensor<256xf32> {
  %0 = graph.iota 0 : tensor<256xf32>
  return %0 : tensor<256xf32>
}

// CHECK-LABEL: func.func @above_the_limit
// CHECK-NEXT: graph.iota
func.func @above_the_limit() -> tensor<257xf32> {
  %0 = graph.iota 0 : tensor<257xf32>
  return %0 : tensor<257xf32>
}

// A weight lies in a file: it is read when the artifact is written.
// CHECK-LABEL: func.func @weight
// CHECK: graph.weight
// CHECK: graph.unary <neg>
func.func @weight() -> tensor<2xf32> {
  %w = graph.weight "weights" at 0 for 8 : tensor<2xf32>
  %0 = graph.unary <neg> %w : tensor<2xf32> -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// Sizes that are known when the program runs are no constants.
// CHECK-LABEL: func.func @sizes
// CHECK: graph.dims
func.func @sizes(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<si64> {
  %0 = graph.dims affine_map<()[s0] -> (s0)> : tensor<si64>
  return %0 : tensor<si64>
}

// An index out of range is the program's error, when it runs.
// CHECK-LABEL: func.func @fails
// CHECK: graph.gather
func.func @fails() -> tensor<f32> {
  %x = graph.constant dense<[1.0, 2.0]> : tensor<2xf32> : tensor<2xf32>
  %i = graph.constant dense<7> : tensor<i64> : tensor<si64>
  %0 = graph.gather %x, %i axis 0 : tensor<2xf32>, tensor<si64> -> tensor<f32>
  return %0 : tensor<f32>
}
