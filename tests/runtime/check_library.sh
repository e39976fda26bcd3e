#!/bin/sh
# check_library.sh LIBRARY: what libtilewright promises its embedders. Needs nm and readelf.
set -eu
library=$1
status=0

exported=$(nm -D --defined-only "$library" | awk '{print $NF}')
foreign=$(echo "$exported" | grep -v '^tw_' || true)
if [ -n "$foreign" ]; then
  echo "exports more than the C interface: $foreign"
  status=1
fi
for name in tw_model_load tw_session_run tw_version; do
  case "
$exported
" in *"
$name
"*) ;; *)
    echo "does not export $name"
    status=1
    ;;
  esac
done

needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
  grep -vE '^(libc|libm|libdl|libpthread|ld-linux[-a-z0-9_]*)\.so' || true)
if [ -n "$needed" ]; then
  echo "depends on more than the C library: $needed"
  status=1
fi

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
bytes=$(stat -c %s "$stripped")
if [ "$bytes" -gt 300000 ]; then
  echo "is $bytes bytes when stripped; 300000 are promised at most"
  status=1
fi
exit $status
