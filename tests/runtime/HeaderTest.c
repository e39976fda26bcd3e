/* The public headers are C. */
#include "tilewright.h"
#include "tilewright/artifact.h"

int headersAreC(void);
int headersAreC(void) { return sizeof(tw_descriptor) > 0 && sizeof(tw_tensor) > 0 && TW_OK == 0; }
