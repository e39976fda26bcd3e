/// SanitizerDefaults.cpp - how AddressSanitizer runs in programs that hold LLVM; what ASAN_OPTIONS says comes
/// on top.
///
/// Debian's LLVM libraries are not instrumented and share memory with our code, which is: a container or an
/// arena that only one side marks would be reported without fault. Leaks are looked for in the programs
/// without LLVM.
extern "C" const char *__asan_default_options() {
  return "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0";
}
