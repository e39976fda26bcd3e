# What ./quickstart and ./run-tests share: Debian packages, the Python environment, the build. Sourced, with `root` as the folder
# of the repository. Every function does nothing, quickly, where its work is already done, and `die`s with what to do where it
# cannot do it. No pipeline here has a reader that leaves before its writer has ended: under pipefail that would be a failure.

# What programs print is read, and files hold UTF-8, whatever the user's language is. C.UTF-8 is part of Debian's C library.
export LC_ALL=C.UTF-8 PYTHONUTF8=1
# Programs end with an obscure error where this leads nowhere.
[ -z "${TMPDIR:-}" ] || [ -w "$TMPDIR" ] || unset TMPDIR

logs="$root/build/logs"
mkdir -p "$logs" 2>/dev/null && [ -w "$logs" ] || {
  printf '%s: %s cannot be written: this needs a clone of your own\n' "$(basename "$0")" "$logs" >&2
  exit 1
}
assets="$root/.assets"
python="$root/.venv/bin/python"

# To build the compiler, the runtime and the driver. The tests are configured along, so that both scripts share one build folder.
build_packages=(
  llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools clang-22 libclang-rt-22-dev lld-22 liblld-22-dev
  cmake ninja-build ccache binutils ca-certificates
  libprotozero-dev libfmt-dev libcli11-dev nlohmann-json3-dev zlib1g-dev libzstd-dev
  libgtest-dev libgmock-dev python3-venv
)
# To run the tests: formatting, peers of the benchmarks, the list of files under version control, programs for AArch64 and what
# executes them here.
test_packages=(clang-format-22 libbenchmark-dev libdnnl-dev git g++-aarch64-linux-gnu qemu-user)

heading() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
die() {
  printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  warn_of_full_disks
  exit 1
}

# What failed may have failed for want of space: say where there is none.
warn_of_full_disks() {
  local folder free
  for folder in "$root" "${TMPDIR:-/tmp}" "${HOME:-/}"; do
    free=$(df --output=avail -k "$folder" 2>/dev/null | awk 'NR == 2 { print int($1 / 1024) }') || true
    [ "${free:-1000}" -ge 200 ] || printf '  The disk of %s has only %s MB left.\n' "$folder" "$free" >&2
  done
}

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

last_line() { tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-"$2"; }

# Wait for a child and show that it is alive: in place on a terminal, else a line every half minute.
show_progress() {
  local child=$1 label=$2 log=$3 start=$SECONDS shown=0 width
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.3
    if [ -t 1 ]; then
      width=$(($(tput cols 2>/dev/null || echo 100) - ${#label} - 16))
      [ "$width" -gt 10 ] && printf '\r\033[K   %s, %d s  %s' "$label" $((SECONDS - start)) "$(last_line "$log" "$width")"
    elif [ $((SECONDS - start - shown)) -ge 30 ]; then
      shown=$((SECONDS - start))
      say "$label, $shown s: $(last_line "$log" 100)"
    fi
  done
  [ -t 1 ] && printf '\r\033[K'
  return 0
}

# run_logged LABEL LOG COMMAND...: run with the output in build/logs/LOG.log and progress on the screen; returns its status.
run_logged() {
  local label=$1 log="$logs/$2.log" start=$EPOCHREALTIME status=0
  shift 2
  mkdir -p "$logs"
  "$@" >"$log" 2>&1 </dev/null &
  local child=$!
  # A command in the background ignores the keyboard's interrupt: pass it on.
  trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 130' INT TERM HUP
  show_progress "$child" "$label" "$log"
  wait "$child" || status=$?
  trap - INT TERM HUP
  if [ "$status" -eq 0 ]; then
    say "$label: $(seconds_since "$start") s"
  else
    say "$label: failed with status $status after $(seconds_since "$start") s"
  fi
  return "$status"
}

# The end of a log, for a failure that nothing explains better.
show_log() {
  printf '\n--- the end of %s\n' "${logs#"$root"/}/$1.log" >&2
  tail -n "${2:-40}" "$logs/$1.log" >&2
}

# become_root PACKAGES: fills `as_root`, the words before a command that needs root. The way to the network goes along; a narrow
# umask does not: what it hides of installed files would be missing for everybody else.
become_root() {
  local with=(DEBIAN_FRONTEND=noninteractive) variable
  for variable in http_proxy https_proxy ftp_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY; do
    [ -z "${!variable:-}" ] || with+=("$variable=${!variable}")
  done
  as_root=(env "${with[@]}" sh -c 'umask 022 && exec "$@"' sh)
  [ "$(id -u)" -ne 0 ] || return 0
  local by_hand="As root, run: apt-get update && apt-get install --no-install-recommends $1"
  command -v sudo >/dev/null || die "installing packages needs root, and there is no sudo" "$by_hand"
  # It asks only where it has to, and never where nobody can answer.
  sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v && sudo -n true; } ||
    die "installing packages needs root, and sudo refuses it or asks for a password that nobody can type here" "$by_hand"
  as_root=(sudo -n "${as_root[@]}")
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
  done
}

# ensure_packages PACKAGE...: install what is missing, in one go.
ensure_packages() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    die "this script installs its needs with apt-get, which is not here" "It is made for Debian 12. Elsewhere install: $*"
  [ "$(uname -m)" = x86_64 ] || die "Tilewright's CPU targets are x86-64; this machine is $(uname -m)"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} -eq 0 ]; then
    say "Debian packages: all ${#} are installed"
    return
  fi
  [ "${offline:-}" ] && die "packages are missing and --offline forbids fetching them:" "${missing[*]}"
  say "Debian packages to install: ${missing[*]}"
  become_root "${missing[*]}"
  # Does nothing, unless an installation was interrupted once.
  run_logged "completing what dpkg has begun" dpkg-configure "${as_root[@]}" dpkg --configure -a ||
    { show_log dpkg-configure 10; die "dpkg --configure -a failed" "Another installation may be under way: try again then."; }
  update_package_lists
  run_logged "installing ${#missing[@]} packages" apt-install "${as_root[@]}" apt-get -q -y \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 --no-install-recommends install "${missing[@]}" ||
    { show_log apt-install 15; die "apt-get install failed" "Is this machine online? Running this again goes on where it ended." \
      "The whole output is in build/logs/apt-install.log"; }
}

update_package_lists() {
  local tries=0 status candidate
  while status=0; run_logged "reading Debian's package lists" apt-update "${as_root[@]}" apt-get -q -o Acquire::Retries=3 update || status=$?
    [ "$status" -ne 0 ] && grep -q 'Could not get lock' "$logs/apt-update.log" && [ "$tries" -lt 12 ]; do
    tries=$((tries + 1))
    say "another program holds apt's lists; trying again in 10 s"
    sleep 10
  done
  candidate=$(apt-cache policy llvm-22-dev | awk '$1 == "Candidate:" { print $2 }') || true
  case "$candidate" in [0-9]*) return ;; esac
  # apt-get update calls it a success when it could reach nothing at all.
  if [ "$status" -ne 0 ] || grep -q 'Failed to fetch' "$logs/apt-update.log"; then
    show_log apt-update 10
    die "Debian's package lists could not be read" "Is this machine online? The whole output is in build/logs/apt-update.log"
  fi
  die "the package sources of this machine do not offer LLVM 22" \
    "Debian 12 has it in its suite bookworm-security: enable that in /etc/apt and run this again."
}

# A Python environment of our own: nothing is installed for the system or the user. The stamp is written when it is whole.
ensure_venv() {
  local stamp="$root/.venv/whole.stamp"
  if "$python" -c 'import pip' 2>/dev/null; then
    [ -z "${offline:-}" ] && [ "$(cat "$stamp" 2>/dev/null)" != "$root" ] || return 0
  fi
  rm -rf "$root/.venv"
  run_logged "creating the Python environment .venv" venv /usr/bin/python3 -m venv "$root/.venv" ||
    { show_log venv; die "python3 -m venv failed"; }
  printf '%s\n' "$root" >"$stamp"
}

# ensure_requirements FILE: its packages in .venv, again when the file changes. Interrupted, pip may leave a package half there and
# listed as whole: then everything begins anew.
ensure_requirements() {
  local stamp="$root/.venv/$(basename "$1" .txt).stamp" begun="$root/.venv/begun.stamp" wanted
  wanted=$(sha256sum <"$1")
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
  [ "${offline:-}" ] && die "Python packages are missing and --offline forbids fetching them: ${1#"$root"/}"
  if [ -e "$begun" ]; then
    rm -f "$root/.venv/whole.stamp"
    ensure_venv
  fi
  : >"$begun"
  run_logged "installing the Python packages of ${1#"$root"/}" pip "$python" -m pip install -q --no-input \
    --disable-pip-version-check --only-binary :all: -r "$1" ||
    { show_log pip 15; die "pip install failed" "Is this machine online? Running this again begins anew." \
      "The whole output is in build/logs/pip.log"; }
  printf '%s\n' "$wanted" >"$stamp"
  rm "$begun"
}

# As many jobs as there are cores, unless memory is short: a file that includes MLIR takes about a gigabyte and a half to compile.
build_jobs() {
  local cores memory limit
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null) || true # a number where this group of processes has one
  case "$limit" in [0-9]*) [ $((limit / 1536000000)) -ge "$memory" ] || memory=$((limit / 1536000000)) ;; esac
  [ "$memory" -lt "$cores" ] && cores=$memory
  [ "$cores" -gt 1 ] && echo "$cores" || echo 1
}

# ccache keeps its files in the user's home: where that cannot be written, in the build folder.
ensure_cache() {
  local folder
  folder=$(ccache --get-config cache_dir 2>/dev/null) || return 0
  [ "${CCACHE_READONLY:-}" ] || { mkdir -p "$folder" && [ -w "$folder" ]; } 2>/dev/null || export CCACHE_DIR="$root/build/ccache"
}

# build PRESET FOLDER [TARGET...]: configure where the preset is new here, then build the targets (default: all).
build() {
  local preset=$1 folder=$2 stamp wanted fresh=()
  shift 2
  ensure_cache
  stamp="$root/$folder/preset.stamp"
  wanted=$(printf '%s %s' "$root" "$preset"; sha256sum <"$root/CMakePresets.json")
  if [ ! -f "$root/$folder/build.ninja" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    # Only a folder that was configured from elsewhere has to start anew.
    grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$root/$folder/CMakeCache.txt" || fresh=(--fresh)
    (cd "$root" && run_logged "configuring $folder" "configure-$preset" cmake "${fresh[@]}" --preset "$preset") ||
      { show_log "configure-$preset"; die "CMake could not configure $folder"; }
    printf '%s\n' "$wanted" >"$stamp"
  fi
  NINJA_STATUS='[%f/%t] ' run_logged "building $folder" "build-$preset" \
    env -u LC_ALL LANG=C.UTF-8 ninja -C "$root/$folder" -j "$(build_jobs)" -k 20 "$@" || # ccache tells locales apart
    { awk '/FAILED:|error: / && ++found <= 20' "$logs/build-$preset.log" >&2
      show_log "build-$preset"; die "the build of $folder failed" "The whole output is in build/logs/build-$preset.log"; }
}
