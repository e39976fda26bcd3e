# tilewright-runner-ARCHITECTURE, beside the driver: the driver's code and the runtime in one program for another processor, without the
# compiler. It executes the artifacts that the compiler makes for that processor (tools/Runner.h). Built where Debian's cross compiler
# is installed; headers come from this machine, and libraries from the cross compiler, which has no zlib.
include(ExternalProject)
set(TILEWRIGHT_RUNNERS aarch64 CACHE STRING "Architectures to build tilewright-runner for")
foreach(architecture ${TILEWRIGHT_RUNNERS})
  find_program(TILEWRIGHT_CXX_${architecture} ${architecture}-linux-gnu-g++)
  find_program(TILEWRIGHT_CC_${architecture} ${architecture}-linux-gnu-gcc)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL architecture)
    continue() # the driver does it
  elseif(NOT TILEWRIGHT_CXX_${architecture} OR NOT TILEWRIGHT_CC_${architecture})
    message(STATUS "There is no ${architecture}-linux-gnu-g++ (Debian: g++-${architecture}-linux-gnu): "
      "artifacts for ${architecture} can be made here, and not run")
    continue()
  endif()
  set(folder ${CMAKE_BINARY_DIR}/runner-${architecture})
  set(runner ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/tilewright-runner-${architecture})
  ExternalProject_Add(runner_${architecture} EXCLUDE_FROM_ALL OFF
    SOURCE_DIR ${CMAKE_SOURCE_DIR} BINARY_DIR ${folder} PREFIX ${folder}/steps
    CMAKE_ARGS -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=${architecture} -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_C_COMPILER=${TILEWRIGHT_CC_${architecture}} -DCMAKE_CXX_COMPILER=${TILEWRIGHT_CXX_${architecture}}
      -DTILEWRIGHT_COMPILER=OFF -DTILEWRIGHT_TESTS=OFF -DTILEWRIGHT_RUNNER=ON -DCMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON
      -Dfmt_DIR=${fmt_DIR} -Dnlohmann_json_DIR=${nlohmann_json_DIR}
    BUILD_ALWAYS ON BUILD_COMMAND ${CMAKE_COMMAND} --build . --target tilewright_driver
    INSTALL_COMMAND ${CMAKE_COMMAND} -E copy_if_different ${folder}/bin/tilewright ${runner}
    BUILD_BYPRODUCTS ${runner})
endforeach()
