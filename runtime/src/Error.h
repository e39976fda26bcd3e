/// Error.h - how the runtime words what went wrong.
///
/// Codes are stable. TW40xx: the artifact file; TW41xx: sessions and threads; TW42xx: inputs and outputs
/// handed to a run; TW43xx: memory; TW44xx: failures during a run; TW45xx: misuse of the C interface; TW94xx:
/// our own bug.
#ifndef TILEWRIGHT_RUNTIME_ERROR_H
#define TILEWRIGHT_RUNTIME_ERROR_H

#include "tilewright.h"

#include <cstddef>

namespace tilewright::runtime {

/// Mark `error` (may be null) as "nothing went wrong".
void clearError(tw_error *error);

/// Fill `error` (may be null) and return `status`. `code` is a number such as 4001.
[[gnu::format(printf, 4, 5)]] tw_status reportError(tw_error *error, tw_status status, int code,
                                                    const char *format, ...);

/// Copy `source` (null: empty) into a field of tw_error, cut to fit.
void copyText(char *destination, size_t capacity, const char *source);

/// Text of bounded length built piece by piece; what does not fit is cut.
class Text {
public:
  [[gnu::format(printf, 2, 3)]] void append(const char *format, ...);
  const char *c_str() const { return characters; }

private:
  char characters[512] = {};
  size_t length = 0;
};

} // namespace tilewright::runtime
#endif
