# Sourced by the scripts that compile: whether this machine can, and what went wrong.

# has_compiler PYTHON [HEADER...]: whether extension modules of PYTHON that include these can be compiled
has_compiler() {
    local python=$1 cc
    shift
    cc=${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')} || return
    # $cc may have options. A compiler that fails in silence must not pass for one: the output counts.
    printf '#include <%s>\n' Python.h "$@" |
        $cc -E -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" - 2>/dev/null |
        grep PyObject >/dev/null
}

# first_error FILE: why pip failed, by its output: file, line and message where there are such, else
# the first complaint of the compiler or pip, else the last words of what pip started
first_error() {
    local pattern found
    for pattern in '[^ ]+:[0-9]+(:[0-9]+)?: (fatal )?error: .*' '[^ ]+: fatal error: .*' \
        'error: [Cc]ommand .*' 'ERROR: .*'; do
        if found=$(grep -m 1 -oE -- "$pattern" "$1"); then
            echo "${found:0:300}"
            return
        fi
    done
    awk '/\[end of output\]/ { exit } NF { last = $0 } END { sub(/^ +/, "", last); print last }' "$1"
}
