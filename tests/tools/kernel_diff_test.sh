#!/bin/bash
# Two scripts stand for the drivers of two builds: kernel-diff must name exactly what differs in what they print.
set -u
tool=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# driver NAME: stdin is what `compile` prints; the model "bad" is refused, the model "half" only by the driver named b.
driver() {
  { printf '#!/bin/bash\n[ "$2" = bad ] && { echo "error TW1: no" >&2; exit 3; }\n'
    [ "$1" = b ] && printf '[ "$2" = half ] && exit 3\n'
    printf 'cat <<"TEXT"\n'; cat; printf 'TEXT\n'; } >"$folder/$1"
  chmod +x "$folder/$1"
}
driver a <<'IR'
define void @same(ptr %0) #0 {
  ret void, !dbg !7
}
define void @changed(ptr %0) {
  %x = fadd float 1.0, 2.0
  ret void
}
define internal void @old_name() {
  call void @old_name()
  ret void
}
define void @removed() {
  unreachable
}
IR
driver b <<'IR'
declare void @printf()
define void @same(ptr %0) #3 {
  ret void, !dbg !9
}
define void @changed(ptr %0) {
  %x = fmul float 1.0, 2.0
  ret void
}
define internal void @"new name"() {
  call void @"new name"()
  ret void
}
define void @added() {
  ret void
}
IR

failures=0
expect() { # description, wanted exit code, wanted text, command...
  local what=$1 code=$2 text=$3 output status
  shift 3
  output=$("$@" 2>&1)
  status=$?
  if [ $status != "$code" ] || [[ "$output" != *"$text"* ]]; then
    printf 'FAILED: %s: exit %s (wanted %s), output:\n%s\n' "$what" "$status" "$code" "$output"
    failures=$((failures + 1))
  fi
}
expect "counts" 1 "m: 1 same, 1 changed, 1 added, 1 removed, 1 renamed" "$tool" "$folder/a" "$folder/b" m
expect "names the changed" 1 "changed changed" "$tool" "$folder/a" "$folder/b" m
expect "names the renamed" 1 "renamed old_name to new name" "$tool" "$folder/a" "$folder/b" m
expect "shows the difference" 1 "+  %x = fmul float 1.0, 2.0" "$tool" "$folder/a" "$folder/b" m --diff
expect "JSON" 1 '"differs": true' "$tool" "$folder/a" "$folder/b" m --json
expect "equal builds" 0 "m: 4 same" "$tool" "$folder/a" "$folder/a" m
expect "refused by both" 0 "error TW1: no" "$tool" "$folder/a" "$folder/b" bad
expect "refused by one" 5 "A compiles; B exit 3" "$tool" "$folder/a" "$folder/b" half
expect "no such build" 2 "neither a driver" "$tool" "$folder/a" "$folder/none" m
exit $((failures != 0))
