# Builds Go programs from the modules in a directory, once for each state of its go.mod, go.sum and Go files, and caches
# them outside the checkout. It is sourced by the `build` script beside the go.mod, which sets:
#
#   what      a name for messages
#   cache     the directory for the programs
#   version   the version, for the name of the directory and for messages
#   programs  an array of "NAME PACKAGE"
#   flags     linker flags
#   duration  how long the build takes, for messages
#   instead   what people without Go can do instead, for messages
#
# Progress goes to standard error.

say() { printf '%s: %s\n' "$what" "$*" >&2; }
fail() { say "$@"; exit 1; }

missing_in() {
    local directory=$1 program name _
    for program in "${programs[@]}"; do
        read -r name _ <<<"$program"
        [[ -x $directory/$name ]] || printf '%s ' "$name"
    done
}

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# Is version $1 (such as 1.26.8) at least $2?
at_least() {
    local have want i
    IFS=. read -r -a have <<<"${1%%[!0-9.]*}"
    IFS=. read -r -a want <<<"$2"
    for i in 0 1 2; do
        ((${have[i]:-0} > ${want[i]:-0})) && return 0
        ((${have[i]:-0} < ${want[i]:-0})) && return 1
    done
    return 0
}

# Prints the directory with the programs, and builds them if they are not there yet.
built() {
    local hash directory
    hash=$(shopt -s nullglob; cat go.mod go.sum *.go | sha256 | cut -c 1-12)
    directory=$cache/$version-$hash
    if [[ ! -d $directory ]]; then
        build "$directory"
    fi
    printf '%s\n' "$directory"
}

build() {
    local directory=$1 go_wanted go_found started=$SECONDS number=0 since program name package
    go_wanted=$(sed -n 's/^go \([0-9.]*\)$/\1/p' go.mod)
    command -v go >/dev/null ||
        fail "Go is missing. Install Go $go_wanted or newer from https://go.dev/dl/, or $instead"
    # Since 1.21, a Go that is too old downloads the version that go.mod requires, unless GOTOOLCHAIN forbids it.
    go_found=$(go env GOVERSION) ||
        fail "this Go cannot be used. Install Go $go_wanted or newer from https://go.dev/dl/."
    at_least "${go_found#go}" "$go_wanted" ||
        fail "Go $go_wanted or newer is needed, this is ${go_found#go}. Install it from https://go.dev/dl/."

    mkdir -p "$cache"
    # If two builds run at once, the second one waits and finds everything built. (Without flock both build, and the
    # first one to finish wins.)
    if command -v flock >/dev/null; then
        exec 9>"$cache/.lock"
        flock -n 9 || { say "another build is under way: waiting for it"; flock 9; }
        [[ ! -d $directory ]] || return 0
    fi

    under_way=$(mktemp -d "$cache/.building.XXXXXX")
    trap 'rm -rf "$under_way"' EXIT

    say "building $version into $directory"
    say "this happens once: $duration, plus the download of the Go modules"
    for program in "${programs[@]}"; do
        read -r name package <<<"$program"
        number=$((number + 1))
        say "$number of ${#programs[@]}: $name ..."
        since=$SECONDS
        CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$under_way/$name" "$package" >&2 9>&- ||
            fail "building $name failed (see above). If modules could not be fetched, check GOPROXY and the network."
        say "$number of ${#programs[@]}: $name took $((SECONDS - since)) s"
    done

    chmod 755 "$under_way"
    [[ -d $directory ]] || mv "$under_way" "$directory"
    [[ -z $(missing_in "$directory") ]] || fail "could not put the programs into $directory"
    say "built in $((SECONDS - started)) s"
}
