// Dead pure ops go, equal ones become one; what has effects stays.
// RUN: tilewright-opt %s --simplify | FileCheck %s

// CHECK-LABEL: func.func @dead
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
// CHECK-NEXT: return %[[X]]
func.func @dead(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  %1 = graph.unary <neg> %0 : tensor<4xf32> -> tensor<4xf32>
  return %x : tensor<4xf32>
}

// CHECK-LABEL: func.func @equal
// CHECK: %[[E:.*]] = graph.unary <exp>
// CHECK-NOT: graph.unary <exp>
// CHECK: graph.binary <mul> %[[E]], %[[E]]
func.func @equal(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  %1 = graph.unary <exp> %x : tensor<4xf32> -> tensor<4xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<4xf32>
  return %2 : tensor<4xf32>
}

// Another kind is another op.
// CHECK-LABEL: func.func @unequal
// CHECK-COUNT-2: graph.unary
func.func @unequal(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.unary <sin> %x : tensor<4xf32> -> tensor<4xf32>
  %1 = graph.unary <cos> %x : tensor<4xf32> -> tensor<4xf32>
  %2 = graph.binary <mul> %0, %1 : tensor<4xf32>
  return %2 : tensor<4xf32>
}

// graph.define gives symbols their values: it has no results and is not dead.
// CHECK-LABEL: func.func @effects
// CHECK: graph.define
func.func @effects(%n: tensor<1xsi64>, %x: tensor<4xf32>) -> tensor<4xf32> {
  graph.define %n [0] : tensor<1xsi64>
  return %x : tensor<4xf32>
}
