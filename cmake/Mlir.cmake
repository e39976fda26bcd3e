# LLVM and MLIR 22, one precompiled header with instantiated templates for everything that includes MLIR
# (a file compiles in about a second instead of fifteen), and tilewright_mlir_library() to build the compiler's rooms.
list(APPEND CMAKE_PREFIX_PATH /usr/lib/llvm-22)
find_package(LLVM 22.1 REQUIRED CONFIG)
find_package(MLIR 22.1 REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(LLVM_DEFINITIONS_LIST NATIVE_COMMAND ${LLVM_DEFINITIONS})
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR}/runtime/include)

add_library(mlir_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_compile_definitions(mlir_pch PUBLIC ${LLVM_DEFINITIONS_LIST})
target_compile_options(mlir_pch PUBLIC -fpch-instantiate-templates)
# Without the times of the files in it, equal headers make an equal header: ccache serves it, and all that is compiled with it, to
# another clone of this path.
target_compile_options(mlir_pch PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
target_precompile_headers(mlir_pch PUBLIC ${CMAKE_SOURCE_DIR}/cmake/pch.h)

# tilewright_mlir_library(NAME source... ): a static library that shares the precompiled header.
function(tilewright_mlir_library name)
  add_library(${name} STATIC ${ARGN})
  target_precompile_headers(${name} REUSE_FROM mlir_pch)
  target_compile_definitions(${name} PUBLIC ${LLVM_DEFINITIONS_LIST})
  target_compile_options(${name} PRIVATE -fpch-instantiate-templates)
endfunction()
function(tilewright_mlir_executable name)
  add_executable(${name} ${ARGN})
  target_precompile_headers(${name} REUSE_FROM mlir_pch)
  target_compile_definitions(${name} PRIVATE ${LLVM_DEFINITIONS_LIST})
  # As a library compiles: the precompiled header was not made for -fPIE, which CMake gives executables.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC -fpch-instantiate-templates)
  target_link_libraries(${name} PRIVATE tilewright_llvm_program)
endfunction()
