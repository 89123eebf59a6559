# Sourced by the scripts: the project's virtual environment, filled once and again when
# pyproject.toml changes. Sets `root` and `venv`.

source "$(dirname -- "${BASH_SOURCE[0]}")/compiling.sh"
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

# need_venv run|dev: the program with its fast codec, and what `run` needs where that can be built;
# or what tests and checks need as well
need_venv() {
    local python=${PYTHON:-python3} kind=$1 wanted
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$0: $python is not Python 3.11 or newer; set PYTHON to one that is" >&2
        return 1
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$0: $python cannot make virtual environments (Debian: apt install python3-venv)" >&2
        return 1
    fi
    local extras=fast
    # NetfilterQueue comes as source.
    if has_compiler "$python" libnetfilter_queue/libnetfilter_queue.h; then extras=fast,live; fi
    wanted="$venv $("$python" -V) $extras $(sha256sum <"$root/pyproject.toml")"
    (
        flock 9 # two scripts started at once
        if [ "$(cat "$venv/.filled-dev" 2>/dev/null)" = "$wanted" ]; then return 0; fi
        if [ "$(cat "$venv/.filled-$kind" 2>/dev/null)" = "$wanted" ]; then return 0; fi
        echo "$0: setting up $venv" >&2
        rm -f "$venv"/.filled-*
        "$python" -m venv --clear "$venv" || return
        _pip -e "$root[$extras]" || return
        if [ "$kind" = dev ]; then
            # pip learned dependency groups in 25.1 only
            "$venv/bin/python" - "$root/pyproject.toml" >"$venv/dev.txt" <<'PY' || return
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["dependency-groups"]["dev"], sep="\n")
PY
            _pip -r "$venv/dev.txt" || return
        fi
        printf '%s\n' "$wanted" >"$venv/.filled-$kind"
    ) 9<"$root"
}

_pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@"
}
