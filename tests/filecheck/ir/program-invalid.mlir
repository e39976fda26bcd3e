// The numbered constraints of the program dialect (ir/README.md): each violation is one error.
// RUN: tilewright-opt %s --split-input-file --verify-diagnostics

module {
  program.func @c1_declaration_behind_a_step {
    program.phase 1
    // expected-error @+1 {{C1: neither a declaration at the beginning nor a step}}
    %0 = program.buffer arena live 1 to 1 on 0 : tensor<4xf32>
    program.return
  }
}
// -----
module {
  program.func @c1_declaration_in_a_branch {
    %c = program.buffer input[0] live 0 to 1 on 0 : tensor<i1>
    %taken = program.read %c : i1
    program.if %taken {
      // expected-error @+1 {{C1: neither a declaration at the beginning nor a step}}
      %0 = program.buffer arena live 0 to 1 on 0 : tensor<4xf32>
    } else {
    }
    program.return
  }
}
// -----
module {
  program.func @c1_no_end {
    // expected-error @+1 {{block with no terminator}}
    program.phase 1
  }
}
// -----
module {
  program.func @c2 {
    program.phase 1
    // expected-error @+1 {{C2: phase 2 begins here}}
    program.phase 3
    program.return
  }
}
// -----
module {
  program.func @c3_too_late {
    %x = program.buffer input[0] live 0 to 2 on 0 : tensor<4xf32>
    %a = program.buffer arena live 0 to 0 on 0 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 1 on 0 : tensor<4xf32>
    program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
    program.phase 1
    // expected-error @+1 {{C3: accesses buffer 1 in phase 1, it lives from phase 0 to phase 0}}
    program.launch @f(%a) to (%y) with affine_map<() -> ()> on 0
    program.return %y
  }
}
// -----
module {
  program.func @c3_too_soon {
    %x = program.buffer input[0] live 0 to 2 on 0 : tensor<4xf32>
    %a = program.buffer arena live 1 to 2 on 0 : tensor<4xf32>
    // expected-error @+1 {{C3: accesses buffer 1 in phase 0, it lives from phase 1 to phase 2}}
    program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
    program.phase 1
    program.return
  }
}
// -----
module {
  program.func @c4_needed_again {
    %n = program.buffer input[0] live 0 to 3 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 3 on 0 : tensor<i1>
    %x = program.buffer arena live 0 to 1 on 0 : tensor<4xf32>
    %a = program.buffer arena live 1 to 3 on 0 : tensor<4xf32>
    program.launch @fill() to (%x) with affine_map<() -> ()> on 0
    program.phase 1
    %count = program.read %n : i64
    %start = program.read %c : i1
    // expected-error @+1 {{C4: iterations need buffer 2, which dies in phase 1 before the loop ends}}
    %ran = program.loop %count while %start {
    ^bb0(%i: i64):
      program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
      program.phase 2
      %next = program.read %c : i1
      program.phase 3
      program.yield %next
    }
    program.return
  }
}
// -----
module {
  program.func @c4_stack {
    %n = program.buffer input[0] live 0 to 3 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 3 on 0 : tensor<i1>
    %x = program.buffer input[2] live 0 to 3 on 0 : tensor<4xf32>
    %s = program.buffer arena live 0 to 1 on 0 : tensor<3x4xf32>
    %count = program.read %n : i64
    %start = program.read %c : i1
    // expected-error @+1 {{C4: a stack does not live as long as its loop}}
    %ran = program.loop %count while %start stacks (%s) {
    ^bb0(%i: i64):
      program.copy %x to %s at %i on 0
      program.phase 1
      program.phase 2
      program.yield %start
    }
    program.return
  }
}
// -----
module {
  program.func @c5_never_written {
    %a = program.buffer arena live 0 to 1 on 0 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 1 on 0 : tensor<4xf32>
    // expected-error @+1 {{C5: reads buffer 0, which may not be written yet}}
    program.launch @f(%a) to (%y) with affine_map<() -> ()> on 0
    program.return %y
  }
}
// -----
module {
  program.func @c5_in_one_branch {
    %c = program.buffer input[0] live 0 to 2 on 0 : tensor<i1>
    %y = program.buffer output[0] live 0 to 2 on 0 : tensor<4xf32>
    %taken = program.read %c : i1
    program.if %taken {
      program.launch @fill() to (%y) with affine_map<() -> ()> on 0
      program.phase 1
    } else {
      program.phase 2
    }
    // expected-error @+1 {{C5: reads buffer 1, which may not be written yet}}
    program.return %y
  }
}
// -----
module {
  program.func @c5_in_no_iteration {
    %n = program.buffer input[0] live 0 to 3 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 3 on 0 : tensor<i1>
    %y = program.buffer output[0] live 0 to 3 on 0 : tensor<4xf32>
    %count = program.read %n : i64
    %start = program.read %c : i1
    %ran = program.loop %count while %start {
    ^bb0(%i: i64):
      program.launch @fill() to (%y) with affine_map<() -> ()> on 0
      program.phase 1
      program.yield %start
    }
    // expected-error @+1 {{C5: reads buffer 2, which may not be written yet}}
    program.return %y
  }
}
// -----
module {
  program.func @c5_no_room {
    %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
    %a = program.buffer growable live 0 to 1 on 0 : tensor<4xf32>
    // expected-error @+1 {{C5: writes buffer 1, which has no room yet}}
    program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
    program.return
  }
}
// -----
module {
  program.func @c5_lost {
    %n = program.buffer input[0] live 0 to 3 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 3 on 0 : tensor<i1>
    %a = program.buffer growable live 0 to 3 on 0 : tensor<4xf32>
    program.grow %a to affine_map<() -> (16)>
    program.phase 1
    program.launch @fill() to (%a) with affine_map<() -> ()> on 0
    program.phase 2
    %count = program.read %n : i64
    %start = program.read %c : i1
    // expected-error @+1 {{C5: an iteration loses what buffer 2 held}}
    %ran = program.loop %count while %start {
    ^bb0(%i: i64):
      program.grow %a to affine_map<() -> (32)>
      program.phase 3
      program.yield %start
    }
    program.return
  }
}
// -----
module attributes {graph.symbols = [{hi = 10 : i64, lo = 0 : i64, name = "n", origin = 2 : i64}]} {
  program.func @c5_symbol {
    %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 1 on 0 : tensor<4xf32>
    // expected-error @+1 {{C5: needs symbol n, which may have no value}}
    program.launch @f(%x) to (%y) with affine_map<()[s0] -> (s0)> on 0
    program.return %y
  }
}
// -----
module {
  program.func @c6_write_and_read {
    %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
    %a = program.buffer arena live 0 to 1 on 0 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 1 on 0 : tensor<4xf32>
    // expected-note @+1 {{the other step}}
    program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
    // expected-error @+1 {{C6: reads buffer 1 at the same time as another step writes it}}
    program.launch @f(%a) to (%y) with affine_map<() -> ()> on 0
    program.return %y
  }
}
// -----
module {
  program.func @c6_grow_and_read {
    %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
    %a = program.buffer growable live 0 to 2 on 0 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 2 on 0 : tensor<4xf32>
    program.grow %a to affine_map<() -> (16)>
    program.phase 1
    program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
    program.phase 2
    // expected-note @+1 {{the other step}}
    program.launch @f(%a) to (%y) with affine_map<() -> ()> on 0
    // expected-error @+1 {{C6: writes buffer 1 at the same time as another step reads it}}
    program.grow %a to affine_map<() -> (32)>
    program.return %y
  }
}
// -----
module {
  program.func @c6_next_iteration {
    %n = program.buffer input[0] live 0 to 3 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 3 on 0 : tensor<i1>
    %x = program.buffer arena live 0 to 3 on 0 : tensor<4xf32>
    %a = program.buffer arena live 0 to 3 on 0 : tensor<4xf32>
    program.launch @fill() to (%x) with affine_map<() -> ()> on 0
    program.phase 1
    %count = program.read %n : i64
    %start = program.read %c : i1
    %ran = program.loop %count while %start {
    ^bb0(%i: i64):
      // expected-error @+1 {{C6: reads buffer 2 at the same time as another step writes it}}
      program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
      program.phase 2
      // expected-note @+1 {{the other step}}
      program.launch @f(%a) to (%x) with affine_map<() -> ()> on 0
      program.yield %start
    }
    program.return
  }
}
// -----
module attributes {graph.symbols = [{hi = 10 : i64, lo = 0 : i64, name = "n", origin = 2 : i64}]} {
  program.func @c6_symbol {
    %n = program.buffer input[0] live 0 to 1 on 0 : tensor<si64>
    %y = program.buffer output[0] live 0 to 1 on 0 : tensor<4xf32>
    // expected-note @+1 {{the other step}}
    program.define %n [0]
    // expected-error @+1 {{C6: reads symbol n at the same time as another step writes it}}
    program.launch @fill() to (%y) with affine_map<()[s0] -> (s0)> on 0
    program.return %y
  }
}
// -----
module {
  program.func @c6_device_without_wait {
    %x = program.buffer input[0] live 0 to 2 on 0 : tensor<4xf32>
    %d = program.buffer arena live 0 to 2 on 1 : tensor<4xf32>
    %e = program.buffer arena live 0 to 2 on 1 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 2 on 0 : tensor<4xf32>
    %z = program.buffer output[1] live 0 to 2 on 0 : tensor<4xf32>
    program.copy %x to %d on 1
    program.launch @f(%d) to (%e) with affine_map<() -> ()> on 1
    // expected-note @+1 {{the other step}}
    program.copy %e to %y on 1
    program.phase 1
    // expected-error @+1 {{C6: reads buffer 3 at the same time as another step writes it}}
    program.launch @f(%y) to (%z) with affine_map<() -> ()> on 0
    program.return %y, %z
  }
}
// -----
module {
  program.func @c6_wait_is_of_thread_zero {
    %x = program.buffer input[0] live 0 to 2 on 0 : tensor<4xf32>
    %y = program.buffer output[0] live 0 to 2 on 0 : tensor<4xf32>
    %z = program.buffer output[1] live 0 to 2 on 0 : tensor<4xf32>
    // expected-note @+1 {{the other step}}
    program.copy %x to %y on 1
    program.wait on 1
    // expected-error @+1 {{C6: reads buffer 1 at the same time as another step writes it}}
    program.launch @f(%y) to (%z) with affine_map<() -> ()> on 0
    program.return %y, %z
  }
}
// -----
// The condition is still read by a thread that is late.
module {
  program.func @c7 {
    %x = program.buffer input[0] live 0 to 3 on 0 : tensor<4xf32>
    %c = program.buffer arena live 0 to 1 on 0 : tensor<i1>
    %a = program.buffer arena live 2 to 3 on 0 : tensor<4xf32>
    program.launch @f(%x) to (%c) with affine_map<() -> ()> on 0
    program.phase 1
    %taken = program.read %c : i1
    program.if %taken {
      program.phase 2
    } else {
      // expected-error @+1 {{C7: accesses buffer 2 at the same time as another step buffer 1, and they may share memory}}
      program.launch @f(%x) to (%a) with affine_map<() -> ()> on 0
      program.phase 3
    }
    program.return
  }
}
// -----
module {
  program.func @c8_lives_meet {
    %a = program.buffer growable live 0 to 2 on 0 : tensor<4xf32>
    // expected-error @+1 {{C8: takes over memory in which buffer 0 still lives}}
    %b = program.buffer growable live 2 to 3 over %a on 0 : tensor<4xf32>
    program.return
  }
}
// -----
module {
  program.func @c8_kind {
    %a = program.buffer arena live 0 to 2 on 0 : tensor<4xf32>
    // expected-error @+1 {{C8: a growable buffer takes over the memory of a growable buffer}}
    %b = program.buffer growable live 3 to 3 over %a on 0 : tensor<4xf32>
    program.return
  }
}
// -----
module {
  program.func @c9_launch {
    %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
    %a = program.buffer arena live 0 to 1 on 1 : tensor<4xf32>
    // expected-error @+1 {{C9: accesses memory of device 0 on device 1}}
    program.launch @f(%x) to (%a) with affine_map<() -> ()> on 1
    program.return
  }
}
// -----
module {
  program.func @c9_copy {
    %x = program.buffer input[0] live 0 to 1 on 0 : tensor<4xf32>
    %a = program.buffer arena live 0 to 1 on 2 : tensor<4xf32>
    // expected-error @+1 {{C9: accesses memory of device 2 on device 1}}
    program.copy %x to %a on 1
    program.return
  }
}
// -----
module {
  program.func @c9_alias {
    %a = program.buffer growable live 0 to 0 on 1 : tensor<4xf32>
    // expected-error @+1 {{C9: memory of device 1 on device 0}}
    %b = program.buffer growable live 1 to 1 over %a on 0 : tensor<4xf32>
    program.return
  }
}
// -----
module {
  program.func @c10_number {
    // expected-error @+1 {{C10: inputs and outputs have a number, no other buffers do}}
    %a = program.buffer input live 0 to 0 on 0 : tensor<4xf32>
    program.return
  }
}
// -----
module {
  program.func @c10_life {
    // expected-error @+1 {{C10: it dies before it is born}}
    %a = program.buffer arena live 2 to 1 on 0 : tensor<4xf32>
    program.return
  }
}
// -----
module {
  program.func @c11_input {
    %x = program.buffer input[0] live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C11: writes an input or a constant}}
    program.launch @fill() to (%x) with affine_map<() -> ()> on 0
    program.return
  }
}
// -----
module {
  program.func @c11_constant {
    %0 = graph.constant dense<1.0> : tensor<4xf32> : tensor<4xf32>
    %c = program.constant %0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C11: writes an input or a constant}}
    program.launch @fill() to (%c) with affine_map<() -> ()> on 0
    program.return
  }
}
// -----
module {
  program.func @c11_grow {
    %a = program.buffer arena live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C11: only growable buffers grow}}
    program.grow %a to affine_map<() -> (16)>
    program.return
  }
}
// -----
module {
  program.func @c12_other_number {
    // expected-error @+1 {{C12: is not what the program returns as output 1}}
    %y = program.buffer output[1] live 0 to 0 on 0 : tensor<4xf32>
    program.launch @fill() to (%y) with affine_map<() -> ()> on 0
    program.return %y
  }
}
// -----
module {
  // expected-error @+1 {{C12: an output lies in no output buffer of its own}}
  program.func @c12_no_buffer {
    %x = program.buffer input[0] live 0 to 0 on 0 : tensor<4xf32>
    program.return %x
  }
}
// -----
module {
  program.func @c13_constant {
    %x = program.buffer input[0] live 0 to 0 on 0 : tensor<4xf32>
    %0 = graph.dims affine_map<()[s0] -> (s0)> : tensor<1xsi64>
    // expected-error @+1 {{C13: the value is no constant expression}}
    %c = program.constant %0 on 0 : tensor<1xsi64>
    program.return
  }
}
// -----
module {
  program.func @c13_view {
    %x = program.buffer input[0] live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C13: 'tensor<4xf32>' has not the bytes of 'tensor<5xf32>'}}
    %v = program.view %x : tensor<5xf32>
    program.return
  }
}
// -----
module {
  program.func @c14_in_place {
    %a = program.buffer arena live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C14: it writes what it reads}}
    program.launch @f(%a) to (%a) with affine_map<() -> ()> on 0
    program.return
  }
}
// -----
module {
  program.func @c14_twice {
    %a = program.buffer arena live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C14: two results in one buffer}}
    program.launch @fill() to (%a, %a) with affine_map<() -> ()> on 0
    program.return
  }
}
// -----
module {
  "kernel.func"() <{sym_name = "f"}> ({
  ^bb0(%x: tensor<4xf32>):
    kernel.yield %x : tensor<4xf32>
  }) : () -> ()
  program.func @c14_kernel {
    %a = program.buffer arena live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C14: the kernel takes 1 and gives 1}}
    program.launch @f() to (%a) with affine_map<() -> ()> on 0
    program.return
  }
}
// -----
module {
  program.func @c15_read {
    %x = program.buffer input[0] live 0 to 0 on 0 : tensor<2xi1>
    // expected-error @+1 {{C15: reads one i1 as i1, or one si64 as i64}}
    %c = program.read %x : i1
    program.return
  }
}
// -----
module {
  program.func @c15_write {
    %n = program.buffer input[0] live 0 to 0 on 0 : tensor<si64>
    %a = program.buffer arena live 0 to 0 on 0 : tensor<si32>
    %count = program.read %n : i64
    // expected-error @+1 {{C15: writes one si64}}
    program.write %count to %a
    program.return
  }
}
// -----
module {
  program.func @c16_define {
    %n = program.buffer input[0] live 0 to 0 on 0 : tensor<2xsi64>
    // expected-error @+1 {{C16: needs one integer for each symbol}}
    program.define %n [0]
    program.return
  }
}
// -----
module attributes {graph.symbols = [{hi = 10 : i64, lo = 0 : i64, name = "n", origin = 0 : i64}]} {
  program.func @c16_symbol {
    %n = program.buffer input[0] live 0 to 0 on 0 : tensor<si64>
    // expected-error @+1 {{C16: symbol 0 is not one that a program defines}}
    program.define %n [0]
    program.return
  }
}
// -----
module {
  program.func @c16_unknown {
    %a = program.buffer growable live 0 to 0 on 0 : tensor<4xf32>
    // expected-error @+1 {{C16: there is no symbol 3}}
    program.grow %a to affine_map<()[s0, s1, s2, s3] -> (s3)>
    program.return
  }
}
// -----
module {
  program.func @c16_store {
    // expected-error @+1 {{C16: needs one value for each symbol}}
    program.store [0, 1] to affine_map<() -> (1)>
    program.return
  }
}
// -----
module {
  program.func @c16_no_value {
    // expected-error @+1 {{C16: takes expressions, or one number}}
    program.store [0]
    program.return
  }
}
// -----
module {
  program.func @c17 {
    // expected-error @+1 {{C17: needs two sizes, and possibly when they matter}}
    program.check <equal> affine_map<() -> (1)>
    program.return
  }
}
// -----
module {
  program.func @c18_no_slice {
    %n = program.buffer input[0] live 0 to 0 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 0 on 0 : tensor<i1>
    %s = program.buffer arena live 0 to 0 on 0 : tensor<3x4xf32>
    %count = program.read %n : i64
    %start = program.read %c : i1
    // expected-error @+1 {{C18: no slice is added to a stack}}
    %ran = program.loop %count while %start stacks (%s) {
    ^bb0(%i: i64):
      program.yield %start
    }
    program.return
  }
}
// -----
module {
  program.func @c18_no_stack {
    %n = program.buffer input[0] live 0 to 0 on 0 : tensor<si64>
    %c = program.buffer input[1] live 0 to 0 on 0 : tensor<i1>
    %x = program.buffer input[2] live 0 to 0 on 0 : tensor<4xf32>
    %s = program.buffer arena live 0 to 0 on 0 : tensor<3x4xf32>
    %count = program.read %n : i64
    %start = program.read %c : i1
    %ran = program.loop %count while %start {
    ^bb0(%i: i64):
      // expected-error @+1 {{C18: adds to a stack of its loop, once, at the iteration's number}}
      program.copy %x to %s at %i on 0
      program.yield %start
    }
    program.return
  }
}
// -----
module {
  program.func @c19 {
    // expected-error @+1 {{C19: the CPU's threads wait by phases}}
    program.wait on 0
    program.return
  }
}
