// The input keeps its type: who calls may still be wrong. What follows from it does not.
// RUN: tilewright-opt %s --settle-sizes | FileCheck %s
// CHECK: func.func @main(%[[X:.*]]: tensor<?x?xf32, {{.*}}>) -> tensor<?x5xf32, {{.*}}>
// CHECK-NEXT: %[[VIEW:.*]] = graph.reshape %[[X]] : tensor<?x?xf32, {{.*}}> -> tensor<?x5xf32, {{.*}}>
// CHECK-NEXT: %[[SUM:.*]] = graph.binary <add> %[[VIEW]], %[[VIEW]] : tensor<?x5xf32
// CHECK-NEXT: graph.slice %[[SUM]] {{.*}} : tensor<?x5xf32, {{.*}}> -> tensor<?x4xf32
// CHECK-NOT: graph.require
module attributes {graph.symbols = [{hi = 9223372036854775807 : i64, lo = 0 : i64, name = "rows", origin = 0 : i64}, {hi = 9223372036854775807 : i64, lo = 0 : i64, name = "columns", origin = 0 : i64}]} {
  func.func @main(%x: tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>) -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>> attributes {graph.input_names = ["x"], graph.output_names = ["y"]} {
    %0 = graph.binary <add> %x, %x : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
    graph.require <equal> affine_map<()[s0, s1] -> (s1, 5)> "the columns"
    %1 = graph.slice %0 affine_map<() -> (0, 0)> [1, 1] : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>> -> tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1 - 1)>>
    return %0 : tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>
  }
}
