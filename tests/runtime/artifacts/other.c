/* A shared object that is no artifact, and says so loudly when its code is run. */
__attribute__((constructor)) static void trap(void) { __builtin_trap(); }
__attribute__((visibility("default"))) int other(void) { return 1; }
