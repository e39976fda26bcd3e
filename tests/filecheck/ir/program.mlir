// Sound programs: what is printed is parsed again to the same.
// RUN: tilewright-opt %s > %t
// RUN: tilewright-opt %t | diff %t -
// RUN: FileCheck %s < %t

// CHECK-LABEL: program.func @straight {
// CHECK-NEXT: %[[X:.*]] = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
// CHECK: %[[V:.*]] = program.view %[[X]] : tensor<2x2xf32>
// CHECK: %[[C:.*]] = program.constant %{{.*}} at 64 on 0 : tensor<4xf32>
// CHECK: program.launch @f(%[[V]], %[[C]]) to(%[[A:.*]]) with #{{.*}} site 3 on 0 {nodes = ["Add:a"]}
// CHECK-NEXT: program.phase 1
// CHECK-NEXT: program.launch @g(%[[A]])
// CHECK-NEXT: program.return
program.func @straight {
  %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
  %v = program.view %x : tensor<2x2xf32>
  %0 = graph.constant dense<1.0> : tensor<4xf32> : tensor<4xf32>
  %c = program.constant %0 at 64 on 0 : tensor<4xf32>
  %a = program.buffer arena live 0 to 1 on 0 : tensor<4xf32>
  %y = program.buffer output[0] live 1 to 1 on 0 : tensor<4xf32>
  program.launch @f(%v, %c) to (%a) with affine_map<() -> ()> site 3 on 0 {nodes = ["Add:a"]}
  program.phase 1
  program.launch @g(%a) to (%y) with affine_map<() -> ()> on 0
  program.return %y
}

// A device works in order, beside the team, until thread 0 waits for it; the team sees it one phase later.
// CHECK-LABEL: program.func @device
// CHECK: program.wait on 1
program.func @device {
  %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
  %d = program.buffer arena live 0 to 1 on 1 : tensor<4xf32>
  %e = program.buffer arena live 0 to 1 on 1 : tensor<4xf32>
  %y = program.buffer output[0] live 0 to 1 on 0 : tensor<4xf32>
  %z = program.buffer output[1] live 0 to 1 on 0 : tensor<4xf32>
  program.copy %x to %d on 1
  program.launch @f(%d) to (%e) with affine_map<() -> ()> on 1
  program.copy %e to %y on 1
  program.wait on 1
  program.phase 1
  program.launch @f(%y) to (%z) with affine_map<() -> ()> on 0
  program.return %y, %z
}

// Memory is taken over where lives do not meet; what a loop carries lives through it.
// CHECK-LABEL: program.func @loop
// CHECK: program.buffer growable live 5 to 6 over %{{.*}} on 0
// CHECK: program.loop %{{.*}} while %{{.*}} stacks(%{{.*}}) {
// CHECK: program.copy %{{.*}} to %{{.*}} at %{{.*}} on 0
program.func @loop {
  %n = program.buffer input[0] live 0 to 4 on 0 : tensor<si64>
  %c = program.buffer input[1] live 0 to 4 on 0 : tensor<i1>
  %s = program.buffer growable live 0 to 4 on 0 : tensor<3x4xf32>
  %a = program.buffer arena live 1 to 4 on 0 : tensor<4xf32>
  %b = program.buffer arena live 2 to 3 on 0 : tensor<4xf32>
  %t = program.buffer growable live 5 to 6 over %s on 0 : tensor<4xf32>
  %count = program.read %n : i64
  program.grow %s to affine_map<() -> (16)> times %count keep
  program.phase 1
  program.launch @fill() to (%a) with affine_map<() -> ()> on 0
  %start = program.read %c : i1
  program.phase 2
  %ran = program.loop %count while %start stacks (%s) {
  ^bb0(%i: i64):
    program.launch @f(%a) to (%b) with affine_map<() -> ()> on 0
    program.phase 3
    %next = program.read %c : i1
    program.copy %b to %s at %i on 0
    program.copy %b to %a on 0
    program.phase 4
    program.yield %next
  }
  program.phase 5
  program.grow %t to affine_map<() -> (16)>
  program.phase 6
  program.return
}
