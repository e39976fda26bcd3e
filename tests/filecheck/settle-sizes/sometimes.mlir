// What only some runs require, or may be several numbers, stays.
// RUN: tilewright-opt %s --settle-sizes | FileCheck %s
// CHECK: func.func @main
// CHECK-NEXT: graph.unary <neg> %{{.*}} : tensor<?x?xf32, {{.*}}> -> tensor<?x?xf32
// CHECK-NEXT: return
module attributes {graph.symbols = [{hi = 9223372036854775807 : i64, lo = 0 : i64, name = "rows", origin = 0 : i64}, {hi = 9223372036854775807 : i64, lo = 0 : i64, name = "columns", origin = 0 : i64}]} {
  func.func @main(%x: tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>> attributes {graph.input_names = ["x"], graph.output_names = ["y"]} {
    graph.require <equal> affine_map<()[s0, s1] -> (s1, 5, s0)> "the columns"
    graph.require <repeat> affine_map<()[s0, s1] -> (s0, 7)> "the rows"
    graph.require <equal> affine_map<()[s0, s1] -> (s0, s1)> "rows and columns"
    %0 = graph.unary <neg> %x : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>> -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
    return %0 : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
  }
}
