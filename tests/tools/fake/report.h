/* A report as the compiler writes it, for the stand-in artifact and the stand-in compiler. */
#define FAKE_REPORT                                                                                          \
  "{\"target\":\"cpu:test\","                                                                                \
  "\"inputs\":[{\"name\":\"x\",\"type\":\"float32\",\"shape\":[\"batch\",3]}],"                              \
  "\"outputs\":[{\"name\":\"y\",\"type\":\"float32\",\"shape\":[\"batch\",3]}],"                             \
  "\"nodes\":[{\"node\":\"double\",\"op\":\"Mul\",\"kernel\":\"scale\",\"fused_with\":[\"shift\"],"          \
  "\"why_not_more\":\"nothing else reads it\"},"                                                             \
  "{\"node\":\"shift\",\"op\":\"Add\",\"kernel\":\"scale\",\"fused_with\":[\"double\"],\"why_not_more\":"    \
  "\"\"}],"                                                                                                  \
  "\"kernels\":[{\"name\":\"scale\",\"root\":\"map\",\"ops\":[\"Mul\",\"Add\"],\"launches\":1,\"flops\":"    \
  "\"6*batch\","                                                                                             \
  "\"bytes\":2400,\"schedule\":\"vector 16\"}],"                                                             \
  "\"memory\":{\"weights_bytes\":0,\"live_bytes\":2048,\"buffers\":4}}"
